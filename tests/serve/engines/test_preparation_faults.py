"""A child that is killed, and full or unusual file systems, leave no half-prepared entry."""

import contextlib
import errno
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from serve.config import Config
from serve.engines import load, preparation
from serve.engines.preparation import cache
from serve.errors import ServeError
from tests.support.preparation import assert_as_tensorflow, children

# How often the child is killed, and the seed of the moments.
KILLS = int(os.environ.get("TFX_EXPORT_KILLS", "2"))
SEED = int(os.environ.get("TFX_EXPORT_SEED", "15"))
# About as long as a child lives on a quiet machine.
CHILD_SECONDS = 5.0


@pytest.mark.slow
@pytest.mark.timeout(180 + 30 * KILLS)
def test_a_child_that_is_killed_at_any_moment_leaves_no_half_an_entry(odd_models: Path, tmp_path: Path) -> None:
    chance, version, root = random.Random(SEED), odd_models / "dense" / "1", tmp_path / "prepared"
    config = Config(prepared_dir=str(root))
    for number in range(KILLS):
        shutil.rmtree(root, ignore_errors=True)
        # Every second kill hits the child while it writes files, the others any moment of its life.
        files = chance.randrange(1, 8) if number % 2 else 0
        moment = chance.uniform(0, CHILD_SECONDS)
        print(f"seed {SEED}, kill {number}: {f'{files} files' if files else f'{moment:.2f} s'}")  # noqa: T201
        killer = threading.Thread(target=kill_child, args=(root, files, moment))
        killer.start()
        entry, error = None, ""
        try:
            outcome = preparation.prepare(version, config, threading.Event())
            entry, error = outcome.entry, outcome.reason
        except ServeError as failure:
            error = failure.message
        killer.join()
        assert entry or error.endswith("ended by SIGKILL")
        assert (cache.find(root, cache.key_of(version, config)) is None) == (entry is None)
        assert [path for path in root.iterdir() if path.is_dir()] == ([entry.folder] if entry else [])
        assert not children()
    model = load(version, config)
    assert cache.find(root, cache.key_of(version, config))
    assert_as_tensorflow(model, version)
    model.close()


def kill_child(root: Path, files: int, moment: float) -> None:
    """Kills the child once its draft has `files` files, or if that is 0, when it has lived for `moment` seconds."""
    deadline = time.monotonic() + 60
    while not (found := children()) and time.monotonic() < deadline:
        time.sleep(0.005)
    until = time.monotonic() + (60 if files else moment)
    while time.monotonic() < until and found and found[0].is_running():
        if files and len([*root.glob(".*/*.weights")]) >= files:
            break
        time.sleep(0.001)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`mounted(OPTIONS)`: a folder that is a file system in memory of its own."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    done = []

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"this user cannot mount: {error}")
        done.append(folder)
        return folder

    yield mount
    for each in done:
        subprocess.run(["umount", str(each)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts file systems as Linux does")
@pytest.mark.parametrize(
    ("model", "options", "text"),
    [
        ("dense", "size=8m", "preparing failed: OSError: [Errno 28] No space left on device"),
        ("echo", "size=4k", "preparing failed: OSError: [Errno 28] No space left on device"),
        ("echo", "size=12k", "--prepared_dir cannot be used: [Errno 28] No space left on device"),
        ("echo", "nr_inodes=1", "--prepared_dir cannot be used: [Errno 28] No space left on device"),
        ("echo", "ro", "--prepared_dir cannot be used"),
    ],
    ids=["weights", "graph", "manifest", "lock", "read only"],
)
def test_a_full_disk_leaves_no_half_an_entry(
    model: str, options: str, text: str, odd_models: Path, mounted: Callable[[str], Path]
) -> None:
    root = mounted(options)
    config = Config(prepared_dir=str(root))
    outcome = preparation.prepare(odd_models / model / "1", config, threading.Event())
    assert outcome.entry is None
    assert text in outcome.reason
    assert not [path for path in root.iterdir() if path.suffix != ".lock"]


def test_a_file_system_without_locks_is_not_used(
    odd_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    outcome = preparation.prepare(odd_models / "echo" / "1", Config(prepared_dir=str(tmp_path)), threading.Event())
    assert outcome.entry is None
    assert outcome.reason == f"--prepared_dir cannot be used: [Errno {errno.ENOLCK}] No locks available"
