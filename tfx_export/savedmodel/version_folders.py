"""Version folders: `models/mnist/3`. A folder is a version if its name is a whole number up to LARGEST_VERSION.

Others are ignored.
"""

import errno
import re
import time
from pathlib import Path

from tfx_export.errors import VersionError

NEXT = "next"
TIMESTAMP = "timestamp"
# TensorFlow Serving stores a version as an int64.
LARGEST_VERSION = 2**63 - 1
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAX_DIGITS = len(str(LARGEST_VERSION))


def parse_version(name: str) -> int | None:
    """Returns the version number in a folder name: 123 for `"00000123"`.

    None unless all characters are digits and the number is at most LARGEST_VERSION, as in TensorFlow Serving.
    """
    if not is_number(name):
        return None
    digits = name.lstrip("0")
    # Python refuses to parse numbers with several thousand digits.
    number = int(digits or "0") if len(digits) <= _MAX_DIGITS else LARGEST_VERSION + 1
    return number if number <= LARGEST_VERSION else None


def is_number(name: str) -> bool:
    """Whether all characters of a folder name are digits; the number may be too large for a version."""
    return name.isascii() and name.isdigit()


def remote_storage(path: str) -> str:
    """Returns why `path` cannot be used, if it is a URL such as `gs://bucket/model`; else an empty text."""
    if not _URL.match(path):
        return ""
    return f"{path} is not a local folder or file: copy it to this machine, or mount it, and give that path"


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
    if text in (NEXT, TIMESTAMP) or parse_version(text) is not None:
        return
    raise VersionError(
        f"{text!r} is not a version number: a version is a whole number from 0 to {LARGEST_VERSION}.",
        hint=f"Use a number, '{NEXT}' (the newest plus one) or '{TIMESTAMP}' (seconds since 1970).",
    )


def resolve_version(model: Path, wanted: str | int, *, overwrite: bool = False) -> int:
    """Returns the number that `wanted` (a number, `next`, `timestamp`) stands for, given the versions in `model` now.

    Raises VersionError if `wanted` is not a valid version, or if it exists and `overwrite` is False.
    """
    check_version(wanted)
    existing = list_versions(model)
    newest = next(iter(existing), 0)
    if wanted in (NEXT, TIMESTAMP) and newest == LARGEST_VERSION:
        raise VersionError(
            f"There is no number after the newest version, {newest}: it is the largest possible.",
            hint=f"Rename {existing[newest]} to a smaller number.",
        )
    if wanted == NEXT:
        return newest + 1
    if wanted == TIMESTAMP:
        return max(int(time.time()), newest + 1)
    number = int(wanted)
    if number in existing and not overwrite:
        following = (
            f"Use --version {NEXT} (which is {newest + 1}), or replace" if newest < LARGEST_VERSION else "Replace"
        )
        raise VersionError(
            f"Version {number} exists already: {existing[number]}",
            hint=f"Existing versions: {', '.join(map(str, existing))}. {following} it with --overwrite.",
        )
    return number
