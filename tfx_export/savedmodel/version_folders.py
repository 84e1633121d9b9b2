"""Version folders: `models/mnist/3`. A folder is a version if its name is a whole number; all else is ignored."""

import time
from pathlib import Path

from tfx_export.errors import VersionError

NEXT = "next"
TIMESTAMP = "timestamp"
# What TensorFlow Serving holds a version in.
_LARGEST = 2**63 - 1


def parse_version(name: str) -> int | None:
    """`"00000123"` -> 123, anything that is not wholly decimal digits -> None (as TensorFlow Serving reads names)."""
    return int(name) if name.isascii() and name.isdigit() else None


def list_versions(model: Path) -> dict[int, Path]:
    """The version folders below `model`, newest first. An absent folder has none."""
    try:
        children = [path for path in model.iterdir() if path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    numbered = [(version, path) for path in children if (version := parse_version(path.name)) is not None]
    return dict(sorted(numbered, key=lambda item: item[0], reverse=True))


def check_version(wanted: str | int) -> None:
    """Raise VersionError unless `wanted` is a version number, `next` or `timestamp`."""
    text = str(wanted)
    number = parse_version(text)
    if text in (NEXT, TIMESTAMP) or (number is not None and number <= _LARGEST):
        return
    raise VersionError(
        f"{text!r} is no version: a version is a whole number from 0 to {_LARGEST}.",
        hint=f"Use a number, '{NEXT}' (the newest plus one) or '{TIMESTAMP}' (seconds since 1970).",
    )


def resolve_version(model: Path, wanted: str | int, *, overwrite: bool = False) -> int:
    """The number that `wanted` (a number, `next`, `timestamp`) means for the folder `model` as it is now.

    Raises VersionError if it is no version, or if it exists and `overwrite` is False.
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
            hint=f"Versions there: {', '.join(map(str, existing))}. "
            f"Take --version {NEXT} (that is {newest + 1}), or replace it with --overwrite.",
        )
    return number
