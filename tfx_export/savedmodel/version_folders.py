"""Version folders: `models/mnist/3`. A folder is a version if its name is a whole number; others are ignored."""

import errno
import time
from pathlib import Path

from tfx_export.errors import VersionError

NEXT = "next"
TIMESTAMP = "timestamp"
# TensorFlow Serving stores a version as an int64.
_LARGEST = 2**63 - 1


def parse_version(name: str) -> int | None:
    """Returns the version number in a folder name: 123 for `"00000123"`, None unless all characters are digits.

    TensorFlow Serving reads the names in the same way.
    """
    return int(name) if name.isascii() and name.isdigit() else None


def list_versions(model: Path) -> dict[int, Path]:
    """Returns the version folders in `model` by number, newest first; an empty dictionary if `model` does not exist."""
    try:
        children = [path for path in model.iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link that leads to itself
            return {}
        raise
    numbered = [(version, path) for path in children if (version := parse_version(path.name)) is not None]
    return dict(sorted(numbered, key=lambda item: item[0], reverse=True))


def check_version(wanted: str | int) -> None:
    """Raises VersionError unless `wanted` is a version number, `next` or `timestamp`."""
    text = str(wanted)
    number = parse_version(text)
    if text in (NEXT, TIMESTAMP) or (number is not None and number <= _LARGEST):
        return
    raise VersionError(
        f"{text!r} is not a version number: a version is a whole number from 0 to {_LARGEST}.",
        hint=f"Use a number, '{NEXT}' (the newest plus one) or '{TIMESTAMP}' (seconds since 1970).",
    )


def resolve_version(model: Path, wanted: str | int, *, overwrite: bool = False) -> int:
    """Returns the number that `wanted` (a number, `next`, `timestamp`) stands for, given the versions in `model` now.

    Raises VersionError if `wanted` is not a valid version, or if it exists and `overwrite` is False.
    """
    check_version(wanted)
    existing = list_versions(model)
    newest = next(iter(existing), 0)
    if wanted == NEXT:
        return newest + 1
    if wanted == TIMESTAMP:
        return max(int(time.time()), newest + 1)
    number = int(wanted)
    if number in existing and not overwrite:
        raise VersionError(
            f"Version {number} exists already: {existing[number]}",
            hint=f"Existing versions: {', '.join(map(str, existing))}. "
            f"Use --version {NEXT} (which is {newest + 1}), or replace it with --overwrite.",
        )
    return number
