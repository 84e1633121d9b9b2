"""Version folders: `models/mnist/3`. A folder is a version if its name is a whole number; all else is ignored."""

from pathlib import Path


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
