"""Advisory locks on folders. The kernel releases them when their owner dies, however it dies."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _open(folder: Path) -> int:
        # Folders cannot be opened there: a file beside the folder stands for it.
        return os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT)

    def _lock(handle: int, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    def _drop(folder: Path) -> None:
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
else:
    import fcntl

    def _open(folder: Path) -> int:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def _lock(handle: int, wait: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    def _drop(folder: Path) -> None:
        pass


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock on `folder`, waiting for it. Where the file system has no locks, go on without."""
    handle = _open(folder)
    try:
        with suppress(OSError):
            _lock(handle, True)
        yield
    finally:
        os.close(handle)


class Ownership:
    """The lock that says: the owner of this folder is alive. Held until `release`, through renames of the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle = _open(folder)
        with suppress(OSError):
            _lock(self._handle, False)

    def release(self) -> None:
        os.close(self._handle)
        _drop(self._folder)


def is_abandoned(folder: Path) -> bool:
    """Whether nobody owns `folder`. False where that cannot be told."""
    try:
        handle = _open(folder)
    except OSError:
        return False
    try:
        _lock(handle, False)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)
