"""MessageRouter: in the server's process, carries a worker's questions to all others and their answers back."""

import contextlib
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from serve.fronts.native.worker_messages import PeerReplies, PeerReply, PeerRequest


@dataclass
class _Open:
    """A question that is being answered: who asked, under which number, and who has not answered yet."""

    asker: Connection
    number: int
    waiting: set[Connection]
    values: list[Any] = field(default_factory=list)


class MessageRouter:
    """Knows the channels of the workers that live. Used in the server's event loop only."""

    def __init__(self) -> None:
        # The ModelServerConfig of the last reload: what a worker that is started later serves.
        self.reloaded_config: bytes | None = None
        self._channels: set[Connection] = set()
        self._open: dict[int, _Open] = {}
        self._numbers = count()

    def join(self, channel: Connection) -> None:
        """A worker that can be asked."""
        self._channels.add(channel)

    def leave(self, channel: Connection) -> None:
        """A worker that has gone: nobody waits for it, and nobody answers it."""
        self._channels.discard(channel)
        for number, question in list(self._open.items()):
            if question.asker is channel:
                del self._open[number]
            else:
                self._close_if_answered(number, question, channel)

    def take(self, channel: Connection, message: PeerRequest | PeerReply) -> None:
        """What a worker sends."""
        if isinstance(message, PeerRequest):
            self._pass_on(channel, message)
        elif question := self._open.get(message.number):
            question.values.append(message.value)
            self._close_if_answered(message.number, question, channel)

    def _pass_on(self, asker: Connection, asked: PeerRequest) -> None:
        if asked.method == "reload":
            (self.reloaded_config,) = asked.arguments
        number = next(self._numbers)
        question = self._open[number] = _Open(asker, asked.number, self._channels - {asker})
        for channel in tuple(question.waiting):
            with contextlib.suppress(OSError):  # it has just ended; who reads its channel will say so
                channel.send(replace(asked, number=number))
        self._close_if_answered(number, question)

    def _close_if_answered(self, number: int, question: _Open, by: Connection | None = None) -> None:
        if by is not None:
            question.waiting.discard(by)
        if not question.waiting:
            del self._open[number]
            with contextlib.suppress(OSError):
                question.asker.send(PeerReplies(question.number, tuple(question.values)))
