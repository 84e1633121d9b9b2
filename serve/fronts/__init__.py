"""Fronts carry the protocols to the network. A front is a module of this package, chosen by name."""

import logging
from importlib import import_module
from typing import Protocol, cast

from serve.config import Config
from serve.startup.overview import Overview

logger = logging.getLogger("serve")


class Front(Protocol):
    """What a server needs of a front. All methods run in the server's event loop.

    The order at the end is `stop_accepting`, `wait_idle`, `stop`.
    """

    async def start(self) -> Overview:
        """Load the models, then open the ports.

        Raises ServeError if no model can be loaded (UNKNOWN) or a port cannot be had (UNAVAILABLE).
        """
        ...

    async def stop_accepting(self) -> None:
        """Close the listeners and refuse new requests; those in flight go on."""
        ...

    async def wait_idle(self) -> None:
        """Return once no request is in flight."""
        ...

    async def stop(self) -> None:
        """End at once, whatever is in flight."""
        ...


class _FrontModule(Protocol):
    def make(self, config: Config) -> Front: ...


def make_front(config: Config) -> Front:
    """The front that `config` asks for: with `auto` the native one, where it can run."""
    name = config.front
    if name == "auto":
        from serve.fronts.native.embedded_python import why_unavailable

        reason = why_unavailable()
        name = "python" if reason else "native"
        logger.info("Front: %s (%s)", name, reason or "Envoy with Python inside; --front=python for plain Python")
    if name == "native" and config.grpc_channel_arguments:
        logger.warning(
            "--grpc_channel_arguments has no effect: they are for gRPC's own server, which --front=python has"
        )
    return cast(_FrontModule, import_module(f"serve.fronts.{name}")).make(config)
