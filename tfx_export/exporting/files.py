"""Checks for the files that a user names in addition to the model: labels, assets, probes, specs."""

from difflib import get_close_matches
from pathlib import Path

from tfx_export.errors import SpecError


def require_file(what: str, path: Path, *, hint: str = "") -> None:
    """Raises SpecError if `path` is not a file, with the name of a similar file if there is one.

    `what` is the kind of file, for the message.
    """
    if path.is_file():
        return
    if path.is_dir():
        raise SpecError(f"The {what} file {path} is a folder.", hint=hint)
    names = [file.name for file in path.parent.iterdir() if file.is_file()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, 1)
    meant = f"Did you mean {path.with_name(near[0])}?" if near else ""
    raise SpecError(f"There is no {what} file {path}.", hint="\n".join(filter(None, (meant, hint))))
