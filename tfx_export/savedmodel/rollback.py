"""Go back to an earlier version: publish it again under a new, highest number.

Servers serve the highest number and never load a number twice: to take the newest version away, or to write other bits
under its number, would surprise clients that ask for it by number. So nothing is removed, and to undo a rollback is
to roll back once more.
"""

import os
import shutil
from pathlib import Path

from tfx_export.errors import VersionError
from tfx_export.savedmodel.publish import publish, staging, translate_os_errors
from tfx_export.savedmodel.reader import read_index
from tfx_export.savedmodel.version_folders import NEXT, list_versions
from tfx_export.savedmodel.version_history import content_hashes


def rollback(model: Path | str, to: int | None = None) -> tuple[int, Path]:
    """Publish version `to` of the folder `model` again as its newest; the version taken, and the new folder.

    Without `to`: the newest one that differs from what is served now. Files are hard links where the file system has
    them, so that a rollback takes no room. Raises VersionError if there is no such version, SavedModelError if it
    cannot be loaded, PublishError if the file system refuses.
    """
    model = Path(model)
    versions = list_versions(model)
    existing = f"Versions: {', '.join(map(str, versions)) or 'none'}"
    if to is None:
        to = _previous(versions)
        if to is None:
            raise VersionError(f"{model} has no earlier version to go back to.", hint=existing)
    elif to not in versions:
        raise VersionError(f"{model} has no version {to}.", hint=existing)
    elif to == next(iter(versions)):
        raise VersionError(f"Version {to} is the newest: it is what is served now.", hint=existing)
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
