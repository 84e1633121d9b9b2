"""For `--import`: ends or stops the child, or a process that serves, where a test wants it.

TFX_EXPORT_TEST_FOLDER names a folder. Files in it tell what happens; without them nothing does:

wait     the first child waits a minute before it loads its version; it makes the file `waiting` first
abort    children abort before they load their version
exit     children call sys.exit before they load their version
publish  the first process that publishes an entry waits a minute instead of renaming it; it makes `waiting` first
crash    holds a version folder: a process that serves aborts when it warms that version up
"""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

folder = Path(os.environ["TFX_EXPORT_TEST_FOLDER"])


def wait() -> None:
    """Waits, unless another process has done so before."""
    with contextlib.suppress(FileExistsError):
        (folder / "waiting").touch(exist_ok=False)
        time.sleep(60)


if "preparation" in str(getattr(sys.modules["__main__"], "__file__", "")):
    if (folder / "abort").exists():
        os.abort()
    if (folder / "exit").exists():
        sys.exit("No more coffee")
    if (folder / "wait").exists():
        wait()
elif "serve.core" in sys.modules:
    from serve import warmup

    replay, rename = warmup.replay, Path.rename

    def crashing_replay(model: Any, path: Path, **options: Any) -> int:
        crash = folder / "crash"
        if crash.exists() and str(path) == crash.read_text():
            os.abort()
        return replay(model, path, **options)

    def waiting_rename(source: Path, target: Path) -> Path:
        if (folder / "publish").exists() and (source / "manifest.json").exists():
            wait()
        return rename(source, target)

    warmup.replay = crashing_replay
    Path.rename = waiting_rename  # type: ignore[method-assign,assignment]
