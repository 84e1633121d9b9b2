"""Fronts carry the protocols to the network. A front is a module of this package, chosen by name."""

from typing import Protocol


class Front(Protocol):
    """What a server needs of a front. All methods run in the server's event loop.

    The order at the end is `stop_accepting`, `wait_idle`, `stop`.
    """

    # Where the ports are open: "grpc" -> "127.0.0.1:8500", "rest" -> "http://127.0.0.1:8501". Filled by `start`.
    addresses: dict[str, str]

    async def start(self) -> None:
        """Open the ports. Raises ServeError (UNAVAILABLE) naming the port that cannot be had."""
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
