"""Peers: the other processes that serve the same models on the same ports (`--workers`). Together they speak as one."""

from typing import Any, Protocol

from serve import metrics
from serve.errors import ServeError
from serve.lifecycle.manager import Manager
from serve.lifecycle.state import ModelRef, VersionStatus
from serve.models.catalog import Catalog
from tfx_export import wire


class Peers(Protocol):
    """Asks every other process. A question is the name of a method of `PeerHandler`, with what it takes."""

    async def call(self, method: str, *arguments: Any) -> list[Any]:
        """Their answers, in no order; those that end meanwhile are left out. Raises the first ServeError."""
        ...


class NoPeers:
    """The only process there is."""

    async def call(self, method: str, *arguments: Any) -> list[Any]:
        return []


class PeerHandler:
    """What one process answers to its peers. Its methods may block, and are called in threads."""

    def __init__(self, manager: Manager, catalog: Catalog) -> None:
        self._manager = manager
        self._catalog = catalog

    def statuses(self, ref: ModelRef) -> list[VersionStatus]:
        """The state of every version this process knows; none for an unknown model or version."""
        try:
            return self._manager.status(ref)
        except ServeError:
            return []

    def check_reload(self, config: bytes) -> None:
        """Raise ServeError if this ModelServerConfig would be refused."""
        self._catalog.check(wire.ModelServerConfig.FromString(config))

    def reload(self, config: bytes) -> None:
        """Serve what it lists; returns once what is new is available. Raises ServeError if it does not load."""
        self._manager.wait_for(self._catalog.reload(wire.ModelServerConfig.FromString(config)))

    def metrics(self) -> metrics.Snapshot:
        """What this process has counted and measured."""
        return metrics.snapshot()
