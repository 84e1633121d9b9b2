"""Finds the files of templates/: inside the installed package, or at the top of a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def templates(kind: str) -> Path:
    """Returns the folder of one kind of template, e.g. `deploy`."""
    installed = _PACKAGE / "templates"
    return (installed if installed.is_dir() else _PACKAGE.parent / "templates") / kind
