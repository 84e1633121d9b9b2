"""What the server's process and a worker inside Envoy tell each other, over a pipe that both inherit."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from serve.config import Config
from serve.errors import ServeError
from serve.startup.overview import ServedVersion

# In a worker's environment: the pipe's file descriptor, the working folder to go to, and the one processor to run on.
DESCRIPTOR_VARIABLE = "TFX_EXPORT_CHANNEL"
FOLDER_VARIABLE = "TFX_EXPORT_FOLDER"
PROCESSOR_VARIABLE = "TFX_EXPORT_PROCESSOR"


@dataclass(frozen=True)
class Start:
    """The first word to a worker: what to serve. `reloaded_config` is the ModelServerConfig of the last reload, if any."""

    config: Config
    reloaded_config: bytes | None


@dataclass(frozen=True)
class Loaded:
    """A worker has its models; its ports open now."""

    versions: tuple[ServedVersion, ...]


@dataclass(frozen=True)
class Failed:
    """A worker will never have anything to serve."""

    error: ServeError


@dataclass(frozen=True)
class Drain:
    """To a worker: the end is near, say so to whoever asks for its health."""


@dataclass(frozen=True)
class PeerRequest:
    """From a worker: to be asked of all others. To a worker: to be answered under the same number.

    A method of `serve.models.peers.PeerHandler`, and what it takes.
    """

    number: int
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class PeerReply:
    """From a worker: what it says, or the ServeError it raised."""

    number: int
    value: Any


@dataclass(frozen=True)
class PeerReplies:
    """To the worker that asked: what all others said."""

    number: int
    values: tuple[Any, ...]


class ChannelPeers:
    """The `serve.models.peers.Peers` of a worker."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[tuple[Any, ...]]] = {}

    async def call(self, method: str, *arguments: Any) -> list[Any]:
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

    def answered(self, answers: PeerReplies) -> None:
        """The answers have come. May be called from any thread."""
        if waiting := self._waiting.get(answers.number):
            waiting.get_loop().call_soon_threadsafe(_resolve, waiting, answers.values)


def _resolve(waiting: "asyncio.Future[tuple[Any, ...]]", values: tuple[Any, ...]) -> None:
    if not waiting.done():
        waiting.set_result(values)
