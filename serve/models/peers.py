"""Peers: the other processes of the server (`--workers`), which serve the same models on the same ports."""

from typing import Any, Protocol

from serve import metrics
from serve.errors import ServeError
from serve.lifecycle.manager import Manager
from serve.lifecycle.state import ModelRef, VersionStatus
from serve.models.catalog import Catalog
from tfx_export import wire


class Peers(Protocol):
    """Calls a method of PeerHandler in every other process."""

    async def call(self, method: str, *arguments: object) -> list[Any]:
        """Returns the results in any order; a process that ends meanwhile has none. Raises the first ServeError."""
        ...


class NoPeers:
    """The peers of a server with a single process."""

    async def call(self, method: str, *arguments: object) -> list[Any]:
        return []


class PeerHandler:
    """The methods that the peers of a process may call. They may block, and run in their own threads."""

    def __init__(self, manager: Manager, catalog: Catalog) -> None:
        self._manager = manager
        self._catalog = catalog

    def statuses(self, ref: ModelRef) -> list[VersionStatus]:
        """Returns the status of the versions in this process; an empty list for an unknown model or version."""
        try:
            return self._manager.status(ref)
        except ServeError:
            return []

    def check_reload(self, config: bytes) -> None:
        """Raises ServeError if this ModelServerConfig would be rejected."""
        self._catalog.check(wire.ModelServerConfig.FromString(config))

    def reload(self, config: bytes) -> None:
        """Serves its models and returns once the new ones are available. Raises ServeError if one does not load."""
        self._manager.wait_for(self._catalog.reload(wire.ModelServerConfig.FromString(config)))

    def metrics(self) -> metrics.Snapshot:
        """Returns the metrics of this process."""
        return metrics.snapshot()
