"""Health: whether the server or a model answers requests now, for probes and load balancers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from serve.lifecycle.manager import Manager
from serve.lifecycle.state import VersionStatus

# Names of the whole server: the empty name, upstream's names, and the names of the services.
SERVER = frozenset(
    {
        "",
        "PredictionService",
        "ModelService",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
    }
)


class Health:
    """Follows the states of the models. While the server drains, nothing is healthy."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._watchers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.draining = False
        manager.subscribe(self._state_changed)

    def check(self, service: str) -> bool | None:
        """Returns whether the server (see SERVER) or the model of that name answers requests; None for other names."""
        if service in SERVER:
            return not self.draining and self._manager.any_available()
        if service not in {model.name for model in self._manager.models()}:
            return None
        return not self.draining and self._manager.is_available(service)

    async def watch(self, service: str) -> AsyncIterator[bool | None]:
        """Yields the result of `check`, at once and after each change, until the server drains."""
        changed = asyncio.Event()
        watcher = (asyncio.get_running_loop(), changed)
        self._watchers.add(watcher)
        try:
            last: object = watcher  # differs from every result
            while True:
                changed.clear()
                draining, now = self.draining, self.check(service)
                if now is not last:
                    yield now
                    last = now
                if draining:
                    return
                await changed.wait()
        finally:
            self._watchers.discard(watcher)

    def drain(self) -> None:
        """Reports unhealthy from now on, because the server will shut down. May be called from any thread."""
        self.draining = True
        self._notify()

    def _state_changed(self, name: str, status: VersionStatus, path: Path) -> None:
        self._notify()

    def _notify(self) -> None:
        for loop, changed in tuple(self._watchers):
            loop.call_soon_threadsafe(changed.set)
