"""A front connects the protocols to the network. Each front is a module of this package, selected by its name."""

import logging
from importlib import import_module
from typing import Protocol, cast

from serve.config import Config
from serve.startup.overview import Overview

logger = logging.getLogger("serve")


class Front(Protocol):
    """The interface of a front. All methods run in the server's event loop.

    A shutdown calls `stop_accepting`, `wait_idle` and `stop`, in this order.
    """

    async def start(self) -> Overview:
        """Loads the models, then opens the ports.

        Raises ServeError if no model can be loaded (UNKNOWN) or a port cannot be opened (UNAVAILABLE).
        """
        ...

    async def stop_accepting(self) -> None:
        """Closes the listeners and rejects new requests; requests in flight continue."""
        ...

    async def wait_idle(self) -> None:
        """Returns once no request is in flight."""
        ...

    async def stop(self) -> None:
        """Stops at once, even if requests are in flight."""
        ...


class _FrontModule(Protocol):
    def make(self, config: Config) -> Front: ...


def make_front(config: Config) -> Front:
    """Returns the front that `config` names. `auto` means the native one if it can run here, else the Python front."""
    name = config.front
    if name == "auto":
        from serve.fronts.native.embedded_python import why_unavailable

        reason = why_unavailable()
        name = "python" if reason else "native"
        logger.info("Front: %s (%s)", name, reason or "Envoy with Python inside; --front=python for plain Python")
    if name == "native" and config.grpc_channel_arguments:
        logger.warning("--grpc_channel_arguments has no effect: only --front=python uses gRPC's own server")
    return cast(_FrontModule, import_module(f"serve.fronts.{name}")).make(config)
