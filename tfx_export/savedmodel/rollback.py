"""Rolls a model back to an earlier version by publishing that version again under a new, highest number.

Servers serve the highest number and never load a number twice. Removing the newest version, or writing other content
under its number, would surprise clients that request it by number. So a rollback removes nothing, and another rollback
undoes it.
"""

import os
import shutil
from pathlib import Path

from tfx_export.errors import VersionError
from tfx_export.savedmodel.publish import publish, staging, translate_os_errors
from tfx_export.savedmodel.reader import read_index
from tfx_export.savedmodel.version_folders import NEXT, list_versions
from tfx_export.savedmodel.version_history import content_hashes, no_versions


def rollback(model: Path | str, to: int | None = None) -> tuple[int, Path]:
    """Publishes version `to` of the folder `model` again as the newest. Returns the number `to` and the new folder.

    The default for `to` is the newest version whose content differs from the newest one. Files are hard links if the
    file system supports them, so a rollback needs no disk space.
    Raises VersionError if there is no such version, SavedModelError if it cannot be read, PublishError if the file
    system refuses.
    """
    model = Path(model)
    versions = list_versions(model)
    if not versions:
        raise no_versions(model)
    existing = f"Versions: {', '.join(map(str, versions))}"
    if to is None:
        to = _previous(versions)
        if to is None:
            raise VersionError(f"{model} has no earlier version to roll back to.", hint=existing)
    elif to not in versions:
        raise VersionError(f"{model} has no version {to}.", hint=existing)
    elif to == next(iter(versions)):
        raise VersionError(f"Version {to} is the newest: servers serve it already.", hint=existing)
    read_index(versions[to])
    with staging(model) as staged, translate_os_errors(model):
        shutil.copytree(versions[to], staged, dirs_exist_ok=True, copy_function=_link)
        os.utime(staged)
        return to, publish(staged, NEXT)


def _previous(versions: dict[int, Path]) -> int | None:
    numbers = list(versions)
    return next(
        (old for old in numbers[1:] if content_hashes(versions[old]) != content_hashes(versions[numbers[0]])), None
    )


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
