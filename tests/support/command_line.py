"""Runs the `tfx-export` command as a user does: a process with pipes."""

import subprocess
import sys
from pathlib import Path


def tfx_export(*arguments: str | Path, code: int = 0, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command in `folder`. Raises AssertionError for another exit code than `code`, or for a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "tfx_export", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done
