"""Advisory locks on folders. The kernel releases them when their owner ends, even if it is killed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _open(folder: Path) -> int:
        # Windows cannot open folders, so the lock is on a file next to the folder.
        return os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT)

    def _lock(handle: int, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    def _remove_lock_file(folder: Path) -> None:
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
else:
    import fcntl

    def _open(folder: Path) -> int:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def _lock(handle: int, wait: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    def _remove_lock_file(folder: Path) -> None:
        pass


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Waits for the lock on `folder` and holds it. Continues without a lock if the file system has none."""
    handle = _open(folder)
    try:
        with suppress(OSError):
            _lock(handle, True)
        yield
    finally:
        os.close(handle)


class Ownership:
    """A lock that shows that the owner of `folder` is alive. Held until `release`, also if the folder is renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle = _open(folder)
        with suppress(OSError):
            _lock(self._handle, False)

    def release(self) -> None:
        os.close(self._handle)
        _remove_lock_file(self._folder)


def is_abandoned(folder: Path) -> bool:
    """Whether `folder` has no living owner. False if this cannot be determined."""
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
