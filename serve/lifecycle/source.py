"""The versions on disk. This module finds them; the manager decides which are loaded."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serve.lifecycle.version_policy import Latest, VersionPolicy
from tfx_export.savedmodel.version_folders import list_versions

# Names, sizes and times of a version's files: it changes while files are copied, or when the folder is repaired.
Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class ServedModel:
    """A model to serve: the folder of its versions, which of them to load, and their labels."""

    name: str
    base_path: Path
    policy: VersionPolicy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)


def versions_on_disk(model: ServedModel) -> dict[int, Path] | None:
    """Returns the version folders of `model`. None if the base path does not exist: then nothing is unloaded."""
    return list_versions(model.base_path) if model.base_path.is_dir() else None


def fingerprint(folder: Path) -> Fingerprint:
    """Returns a value that changes when the files of a version folder change. Does not read the files."""
    seen = []
    # Not rglob, which raises an error if a folder is removed meanwhile.
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in [*folders, *files]):
            try:
                stat = path.stat()
            except OSError:  # it was removed, or cannot be reached
                continue
            seen.append((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(seen))
