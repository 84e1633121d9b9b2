"""Source: what lies on disk. It says which versions exist, never "load this"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serve.lifecycle.version_policy import Latest, VersionPolicy
from tfx_export.savedmodel.version_folders import list_versions

# Names, sizes and times of a version's files: changes when somebody is still copying, or has mended the folder.
Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class ServedModel:
    """A model the operator wants served: where its versions lie, which of them, and under which labels."""

    name: str
    base_path: Path
    policy: VersionPolicy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)


def versions_on_disk(model: ServedModel) -> dict[int, Path] | None:
    """The version folders of `model`; None if its base path is not there (then nothing is known, nothing unloads)."""
    return list_versions(model.base_path) if model.base_path.is_dir() else None


def fingerprint(folder: Path) -> Fingerprint:
    """What tells an unchanged version folder from a changed one, without reading its files."""
    seen = []
    for path in sorted(folder.rglob("*")):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        seen.append((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
    return tuple(seen)
