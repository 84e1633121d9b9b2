"""ChannelPeers: a worker's way to the other workers, through the server's process."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

from serve.errors import ServeError
from serve.fronts.native.channel import Answers, Question


class ChannelPeers:
    """The `serve.peers.Peers` of a worker."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[tuple[Any, ...]]] = {}

    async def ask(self, question: str, *arguments: Any) -> list[Any]:
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(Question(number, question, arguments))
            values = await waiting
        finally:
            del self._waiting[number]
        for value in values:
            if isinstance(value, ServeError):
                raise value
        return list(values)

    def answered(self, answers: Answers) -> None:
        """The answers have come. May be called from any thread."""
        if waiting := self._waiting.get(answers.number):
            waiting.get_loop().call_soon_threadsafe(_resolve, waiting, answers.values)


def _resolve(waiting: "asyncio.Future[tuple[Any, ...]]", values: tuple[Any, ...]) -> None:
    if not waiting.done():
        waiting.set_result(values)
