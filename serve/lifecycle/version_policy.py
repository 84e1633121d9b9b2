"""VersionPolicy: which of the versions on disk should be in memory. The policies are TensorFlow Serving's."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Latest:
    """The `count` largest versions. A broken one does not count, so the next older one stays."""

    count: int = 1


@dataclass(frozen=True)
class All:
    """All versions."""


@dataclass(frozen=True)
class Specific:
    """Exactly these versions. Versions that do not exist are not an error."""

    versions: frozenset[int]


VersionPolicy: TypeAlias = Latest | All | Specific


def aspired_versions(policy: VersionPolicy, on_disk: Collection[int], broken: Collection[int]) -> set[int]:
    """Returns the versions that should be in memory. `broken` are those whose last attempt to load failed.

    A broken version stays aspired, because a later attempt may succeed, but does not count for `Latest`: older versions
    continue to serve.
    """
    match policy:
        case All():
            return set(on_disk)
        case Specific(versions):
            return set(on_disk) & versions
        case Latest(count):
            aspired: set[int] = set()
            missing = max(count, 1)
            for version in sorted(on_disk, reverse=True):
                if missing == 0:
                    break
                aspired.add(version)
                missing -= version not in broken
            return aspired
