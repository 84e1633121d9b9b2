"""Finds folders in a base path that look like versions and are not, and says how to move them."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from tfx_export.recognise import describe, recognise
from tfx_export.savedmodel.export_record import TFLITE
from tfx_export.savedmodel.reader import is_saved_model
from tfx_export.savedmodel.version_folders import LARGEST_VERSION, is_number, list_versions, parse_version

# How many folders a text names.
MAX_SHOWN = 3


def misplaced(base_path: Path, found: Mapping[int, Path] | None) -> str:
    """Says what in `base_path` was meant as a version and is none; empty if nothing was.

    `found` are the versions that were found there; None if `base_path` does not exist. If there are any, only folders
    with too large a number are reported.
    """
    try:
        if found:
            return _too_large(base_path)
        return _too_large(base_path) or _instead_of_versions(base_path)
    except OSError:  # it has been removed in the meantime, or cannot be read
        return ""


def _too_large(base_path: Path) -> str:
    names = [path.name for path in base_path.iterdir()] if base_path.is_dir() else []
    large = sorted(name for name in names if is_number(name) and parse_version(name) is None)
    if not large:
        return ""
    return f"Ignored in {base_path}: {_shown(large)}. The largest version number is {LARGEST_VERSION}"


def _instead_of_versions(base_path: Path) -> str:
    if not base_path.is_dir():
        message, advice = describe(base_path, "a folder of versions")
        return f"{message} {_one_line(advice)}" if base_path.exists() and advice else message.rstrip(".")
    if _holds_model(base_path):
        return _model_in_base_path(base_path)
    folders = [path for path in sorted(base_path.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if named := [path for path in folders if _holds_model(path)]:
        number, old = _number_in(named[-1].name), shlex.quote(str(named[-1]))
        return (
            f"{base_path} holds {_shown([path.name for path in named])}, but the name of a version folder must be a "
            f"whole number. Type: mv {old} {shlex.quote(str(base_path / number))}"
        )
    if models := [path for path in folders if list_versions(path)]:
        return (
            f"{base_path} holds models, not versions: {_shown([path.name for path in models])}. The base path of a "
            f"model is a folder such as {models[0]}"
        )
    if (found := recognise(base_path)).is_known:
        return f"{base_path} is {found.what}, not a folder of versions. {_one_line(found.advice)}"
    return ""


def _model_in_base_path(base_path: Path) -> str:
    if parse_version(base_path.name) is not None:
        return f"{base_path} is a version, not a folder of versions. The base path is its parent, {base_path.parent}"
    path = shlex.quote(str(base_path))
    # In two steps, so that no server sees a half-filled version.
    move = f"mkdir {path}/.1 && mv {path}/* {path}/.1 && mv {path}/.1 {path}/1"
    return f"{base_path} holds a SavedModel, but each version must be in a folder with a number. Type: {move}"


def _holds_model(folder: Path) -> bool:
    return is_saved_model(folder) or (folder / TFLITE).is_file()


def _number_in(name: str) -> str:
    """Returns the version number to suggest for a folder: 2 for `v2`, 1 for `latest` and `0.1`."""
    number = re.fullmatch(r"\D*?0*([0-9]{1,18})", name)
    return number[1] if number and "." not in name else "1"


def _one_line(advice: str) -> str:
    return " ".join(advice.split("\n"))


def _shown(names: list[str]) -> str:
    return ", ".join(names[:MAX_SHOWN]) + (", ..." if len(names) > MAX_SHOWN else "")
