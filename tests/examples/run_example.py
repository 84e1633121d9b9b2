"""Runs an example as a user does."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_example(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `run.py` of the example in `folder`. Raises AssertionError if it fails."""
    # For tests.examples.unverified.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    command = [sys.executable, str(folder / "run.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done
