"""Quarantine: versions that ended the worker twice while it loaded them are not loaded a third time.

A worker marks each version that it is loading by a file. When the worker ends, its supervisor finds the marks that are
left, and tells the next worker which versions to skip. A version whose files change is no longer in quarantine.
"""

import contextlib
import json
from collections import Counter
from hashlib import sha256
from pathlib import Path

from serve.errors import Code, ServeError
from serve.lifecycle.source import fingerprint
from serve.lifecycle.state import State, VersionStatus

MAX_ENDS = 2

# Hashes of the path and the files of versions.
Quarantined = frozenset[str]


class LoadingMarks:
    """Observes the states of versions; marks those that are being loaded by files in `folder`."""

    def __init__(self, folder: Path, quarantined: Quarantined) -> None:
        self._folder = folder
        self._quarantined = quarantined
        folder.mkdir(exist_ok=True)

    def record(self, name: str, status: VersionStatus, path: Path) -> None:
        """Sets or removes the mark of a version."""
        mark = self._folder / sha256(f"{name}/{status.version}".encode()).hexdigest()
        with contextlib.suppress(OSError):  # without a mark the version is only not put into quarantine
            if status.state is State.LOADING:
                mark.write_text(json.dumps([str(path), _identity(path)]))
            else:
                mark.unlink(missing_ok=True)

    def check(self, path: Path) -> None:
        """Raises ServeError if the version in `path` is in quarantine."""
        if self._quarantined and _identity(path) in self._quarantined:
            raise ServeError(
                Code.INTERNAL, f"In quarantine: the worker ended {MAX_ENDS} times while it loaded these files"
            )


class Quarantine:
    """Counts how often a worker ended while it loaded a version. `folder` is where its workers put their marks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ends: Counter[str] = Counter()

    @property
    def versions(self) -> Quarantined:
        """The versions that the next worker must not load."""
        return frozenset(identity for identity, count in self._ends.items() if count >= MAX_ENDS)

    def worker_ended(self) -> list[str]:
        """Counts the versions that the worker was loading, and returns their paths."""
        paths = []
        for mark in self._folder.glob("*"):
            with contextlib.suppress(OSError, ValueError):  # the worker was ended while it wrote the mark
                path, identity = json.loads(mark.read_text())
                self._ends[identity] += 1
                paths.append(path)
            mark.unlink(missing_ok=True)
        return sorted(paths)


def _identity(path: Path) -> str:
    return sha256(json.dumps([str(path), fingerprint(path)]).encode()).hexdigest()
