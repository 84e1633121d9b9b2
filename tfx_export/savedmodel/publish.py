"""Publishes a version by rename: the version folder appears complete or not at all.

A SavedModel is written to a staging folder next to the versions, flushed to disk, and renamed. The staging folder is on
the same file system, and servers ignore it, because its name is not a number. It is locked while the export runs, so
the next export can tell the remains of a killed export, which it removes, from a folder that is still being written.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from tfx_export.errors import PublishError
from tfx_export.savedmodel.folder_locks import Ownership, folder_lock, is_abandoned
from tfx_export.savedmodel.version_folders import check_version, list_versions, resolve_version

_STAGING = ".tfx-export-staging-"
_REPLACED = ".tfx-export-replaced-"
NOTHING_PUBLISHED = "Nothing was published. Choose another --out, or free some space."


@contextmanager
def staging(model: Path) -> Iterator[Path]:
    """Creates an empty staging folder next to the versions of `model`, and removes it afterwards unless published.

    Creates `model` and its parents if needed, and removes them again if nothing is published.
    Raises PublishError if the file system refuses.
    """
    with translate_os_errors(model):
        folder, owner, made = _make_staging(model)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        owner.release()
        _remove_empty(made)


def publish(staged: Path, version: str | int, *, overwrite: bool = False) -> Path:
    """Renames the finished staging folder `staged` to `version` (a number, `next`, `timestamp`); returns its new path.

    With `overwrite`, an existing version is replaced, and restored if that fails.
    Raises VersionError if the version exists, PublishError if the file system refuses.
    """
    model = staged.parent
    check_version(version)
    with translate_os_errors(model):
        _flush(staged)
        with folder_lock(model):
            number = resolve_version(model, version, overwrite=overwrite)
            target = list_versions(model).get(number, model / str(number))
            replaced = model / f"{_REPLACED}{target.name}-{token_hex(6)}" if target.exists() else None
            if replaced:
                target.rename(replaced)
            try:
                staged.rename(target)
            except BaseException:
                if replaced:
                    replaced.rename(target)
                raise
            _flush_folder(model)
            if replaced:
                shutil.rmtree(replaced, ignore_errors=True)
    return target


def prune(model: Path, keep: int) -> tuple[int, ...]:
    """Removes all but the `keep` newest versions of `model`. Returns the numbers of the removed versions."""
    with translate_os_errors(model), folder_lock(model):
        old = dict(list(list_versions(model).items())[keep:])
        for path in old.values():
            # Renamed first, because a server must never see a part of a version.
            trash = path.rename(model / f"{_STAGING}{token_hex(6)}")
            shutil.rmtree(trash, ignore_errors=True)
    return tuple(old)


def check_writable(model: Path) -> None:
    """Raises PublishError if `staging(model)` would fail: a path is not a folder, or is not writable."""
    nearest = next(path for path in (model, *model.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise PublishError(f"Cannot write below {model}: {nearest} is not a folder.", hint="Choose another --out.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PublishError(f"Cannot write below {model}: no permission to write in {nearest}.")


@contextmanager
def translate_os_errors(folder: Path) -> Iterator[None]:
    """Turns an OSError while writing below `folder` into a PublishError with the file system's message."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise PublishError(f"Cannot write below {folder}: {reason}.", hint=NOTHING_PUBLISHED) from error


def _make_staging(model: Path) -> tuple[Path, Ownership, list[Path]]:
    """Returns the new staging folder, its ownership, and the parent folders that were created, innermost first."""
    made: list[Path] = []
    for last in (False, False, True):
        try:
            made += _make_folders(model)
            with folder_lock(model):
                _clean(model)
                folder = model / f"{_STAGING}{token_hex(6)}"
                folder.mkdir()
                return folder, Ownership(folder), made
        except FileNotFoundError:
            # Another export has just failed and removed the empty model folder.
            if last:
                raise
        except BaseException:
            _remove_empty(made)
            raise
    raise AssertionError("unreachable")


def _clean(model: Path) -> None:
    """Removes the remains of killed exports. Restores a version if its export was killed while replacing it."""
    for path in model.glob(f"{_REPLACED}*"):
        name = path.name.removeprefix(_REPLACED).rpartition("-")[0]
        if name and not (model / name).exists():
            path.rename(model / name)
        else:
            shutil.rmtree(path, ignore_errors=True)
    for path in model.glob(f"{_STAGING}*"):
        if path.is_dir() and is_abandoned(path):
            shutil.rmtree(path, ignore_errors=True)


def _make_folders(folder: Path) -> list[Path]:
    """Creates `folder` and its parents. Returns the folders that it created, innermost first."""
    missing = []
    for path in (folder, *folder.parents):
        if path.exists():
            break
        missing.append(path)
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _flush(folder: Path) -> None:
    """Calls fsync for all files and folders below `folder`, so that the rename cannot reach the disk before them."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            # Opened for writing, because Windows cannot flush a file that is open for reading only.
            with (Path(root) / name).open("r+b") as file:
                os.fsync(file.fileno())
        _flush_folder(Path(root))


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
