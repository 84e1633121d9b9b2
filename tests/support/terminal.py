"""Runs the `tfx-export` command on a terminal."""

import os
import pty
import re
import subprocess
import sys
from typing import Any


def on_a_terminal(*args: Any) -> str:
    """Returns everything that `tfx-export` draws on a terminal of 120 columns, without colours. It must succeed."""
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "tfx_export", *map(str, args)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environment) as process:
        os.close(terminal)
        drawn = b""
        while chunk := _read(master):
            drawn += chunk
        assert process.wait() == 0, drawn.decode()
    os.close(master)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the process has closed the terminal
        return b""
