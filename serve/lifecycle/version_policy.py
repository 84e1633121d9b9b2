"""VersionPolicy: which of the versions on disk should be in memory."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Latest:
    """The `count` largest versions. A broken one steps aside for the next older."""

    count: int = 1


@dataclass(frozen=True)
class All:
    """Every version."""


@dataclass(frozen=True)
class Specific:
    """These and no others; those that are absent are no error."""

    versions: frozenset[int]


VersionPolicy: TypeAlias = Latest | All | Specific


def aspired_versions(policy: VersionPolicy, on_disk: Collection[int], broken: Collection[int]) -> set[int]:
    """The versions that should be in memory. `broken` are those whose last attempt to load failed.

    A broken version stays aspired (it may still load), but does not count against `Latest`: what is older than
    it goes on serving.
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
