"""For `--import`: the child that prepares a version waits a minute before it loads it.

TFX_EXPORT_TEST_WAIT names a file that the child makes before it waits; nothing waits without it.

TFX_EXPORT_TEST_CRASH names a version folder: a process that serves aborts when it warms that version up.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

main = sys.modules["__main__"]
waiting = os.environ.get("TFX_EXPORT_TEST_WAIT")
if waiting and "preparation" in str(getattr(main, "__file__", "")):
    Path(waiting).touch()
    time.sleep(60)

crash = os.environ.get("TFX_EXPORT_TEST_CRASH", "")
if crash and "serve.core" in sys.modules:
    from serve import warmup

    replay = warmup.replay

    def crashing_replay(model: Any, path: Path, **options: Any) -> int:
        if path == Path(crash):
            os.abort()
        return replay(model, path, **options)

    warmup.replay = crashing_replay
