"""Publish by rename: a version folder appears whole or not at all.

A SavedModel is written into a staging folder beside the versions (same file system; its name is no number, so that
servers ignore it), flushed to disk, and renamed. The staging folder is locked while its owner lives: what a killed
export left is told apart from what another export is writing, and the next export removes it.
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
NOTHING_PUBLISHED = "Nothing was published. Choose another --out, or make room."


@contextmanager
def staging(model: Path) -> Iterator[Path]:
    """An empty folder beside the versions of `model` to write the next one into; gone afterwards unless published.

    Makes `model` and its parents where needed, and takes them away again if nothing is published.
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
    """Make the finished staging folder `staged` the version `version` (a number, `next`, `timestamp`); its new path.

    With `overwrite` an existing version is replaced, and put back if that fails.
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
    """Remove all but the `keep` newest versions of `model`; the numbers of those removed."""
    with translate_os_errors(model), folder_lock(model):
        old = dict(list(list_versions(model).items())[keep:])
        for path in old.values():
            # A server must never see half of a version.
            trash = path.rename(model / f"{_STAGING}{token_hex(6)}")
            shutil.rmtree(trash, ignore_errors=True)
    return tuple(old)


def check_writable(model: Path) -> None:
    """Raise now the PublishError that `staging(model)` would: something there is no folder, or not writable."""
    nearest = next(path for path in (model, *model.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise PublishError(f"Cannot write below {model}: {nearest} is not a folder.", hint="Choose another --out.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PublishError(f"Cannot write below {model}: no permission to write in {nearest}.")


@contextmanager
def translate_os_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError while writing below `folder` into a PublishError that says what the file system said."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise PublishError(f"Cannot write below {folder}: {reason}.", hint=NOTHING_PUBLISHED) from error


def _make_staging(model: Path) -> tuple[Path, Ownership, list[Path]]:
    """The new staging folder, its ownership, and the folders made above it, innermost first."""
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
            # Another export failed just now and took the empty model folder away with it.
            if last:
                raise
        except BaseException:
            _remove_empty(made)
            raise
    raise AssertionError("unreachable")


def _clean(model: Path) -> None:
    """Remove what killed exports left; bring back a version that was killed between being replaced and published."""
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
    """Make `folder` with its parents; those that were made, innermost first."""
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
    """fsync every file below `folder`, then the folders, so that the rename cannot come before the content."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            # Opened for writing: Windows flushes nothing else.
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
