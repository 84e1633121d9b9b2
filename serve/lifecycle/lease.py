"""Lease: a request's hold on a version, which is not unloaded before the last one is given back."""

from types import TracebackType
from typing import TYPE_CHECKING

from serve.engines import LoadedModel

if TYPE_CHECKING:
    from serve.lifecycle.harness import Harness


class Lease:
    """A context manager. Inside, `model` can be run; after it, nothing of the lease may be used."""

    __slots__ = ("_harness", "model", "name", "version")

    def __init__(self, harness: "Harness", model: LoadedModel) -> None:
        self._harness = harness
        self.name = harness.name
        self.version = harness.version
        self.model = model

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._harness.release()

    def release(self) -> None:
        """Give the hold back; once."""
        self._harness.release()

    def share(self) -> "Lease":
        """Another hold on the same version, to be released by itself. Only while this one is held."""
        self._harness.hold()
        return Lease(self._harness, self.model)
