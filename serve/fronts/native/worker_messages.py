"""The messages between the server process and a worker inside Envoy, over a pipe that both inherit."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from serve.config import Config
from serve.errors import ServeError
from serve.lifecycle.quarantine import Quarantined
from serve.startup.overview import ServedVersion

# In a worker's environment: the file descriptor of the pipe, the working folder, and the one processor to run on.
DESCRIPTOR_VARIABLE = "TFX_EXPORT_CHANNEL"
FOLDER_VARIABLE = "TFX_EXPORT_FOLDER"
PROCESSOR_VARIABLE = "TFX_EXPORT_PROCESSOR"


@dataclass(frozen=True)
class Start:
    """The first message to a worker. `reloaded_config` is the ModelServerConfig of the last reload, if any.

    The worker puts its marks of loading versions into `marks`, and loads no version in `quarantined`.
    """

    config: Config
    reloaded_config: bytes | None
    marks: Path
    quarantined: Quarantined


@dataclass(frozen=True)
class Loaded:
    """From a worker: its models are loaded, and Envoy opens its ports now."""

    versions: tuple[ServedVersion, ...]


@dataclass(frozen=True)
class Failed:
    """From a worker: it cannot load its models, and ends."""

    error: ServeError


@dataclass(frozen=True)
class Drain:
    """To a worker: the server shuts down, so its health checks must fail from now on."""


@dataclass(frozen=True)
class PeerRequest:
    """A call of a method of `serve.models.peers.PeerHandler`.

    From a worker: to be sent to all others. To a worker: to be answered with a PeerReply of the same number.
    """

    number: int
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class PeerReply:
    """From a worker: the value that the method returned, or the ServeError that it raised."""

    number: int
    value: object


@dataclass(frozen=True)
class PeerReplies:
    """To the worker that sent the request: the values of all others."""

    number: int
    values: tuple[object, ...]


Message: TypeAlias = Start | Loaded | Failed | Drain | PeerRequest | PeerReply | PeerReplies


class ChannelPeers:
    """The `serve.models.peers.Peers` of a worker: reaches the others through the server process."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[tuple[object, ...]]] = {}

    async def call(self, method: str, *arguments: object) -> list[Any]:
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(PeerRequest(number, method, arguments))
            values = await waiting
        finally:
            del self._waiting[number]
        for value in values:
            if isinstance(value, ServeError):
                raise value
        return list(values)

    def resolve(self, replies: PeerReplies) -> None:
        """Ends the call that these replies belong to. May be called from any thread."""
        if waiting := self._waiting.get(replies.number):
            waiting.get_loop().call_soon_threadsafe(_set_result, waiting, replies.values)


def _set_result(waiting: "asyncio.Future[tuple[object, ...]]", values: tuple[object, ...]) -> None:
    if not waiting.done():
        waiting.set_result(values)
