"""MessageRouter: sends a worker's requests to all other workers and their replies back. Runs in the server process."""

import contextlib
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing.connection import Connection

from serve.fronts.native.worker_messages import PeerReplies, PeerReply, PeerRequest


@dataclass
class _Pending:
    """A request that waits for replies: its sender, the sender's number for it, and the workers yet to reply."""

    sender: Connection
    number: int
    waiting: set[Connection]
    values: list[object] = field(default_factory=list)


class MessageRouter:
    """Knows the channels of the running workers. Used only in the server's event loop."""

    def __init__(self) -> None:
        # The serialized ModelServerConfig of the last reload: a worker started later serves this one.
        self.reloaded_config: bytes | None = None
        self._channels: set[Connection] = set()
        self._pending: dict[int, _Pending] = {}
        self._numbers = count()

    def add(self, channel: Connection) -> None:
        """Adds a worker, which from now on receives the requests of the others."""
        self._channels.add(channel)

    def remove(self, channel: Connection) -> None:
        """Removes a worker that has ended: its requests are dropped, and nothing waits for its replies any more."""
        self._channels.discard(channel)
        for number, pending in list(self._pending.items()):
            if pending.sender is channel:
                del self._pending[number]
            else:
                self._reply_if_complete(number, pending, channel)

    def handle(self, channel: Connection, message: PeerRequest | PeerReply) -> None:
        """Forwards a request, or collects a reply, that came from a worker."""
        if isinstance(message, PeerRequest):
            self._forward(channel, message)
        elif pending := self._pending.get(message.number):
            pending.values.append(message.value)
            self._reply_if_complete(message.number, pending, channel)

    def _forward(self, sender: Connection, request: PeerRequest) -> None:
        if request.method == "reload":
            (self.reloaded_config,) = request.arguments
        number = next(self._numbers)
        pending = self._pending[number] = _Pending(sender, request.number, self._channels - {sender})
        for channel in tuple(pending.waiting):
            with contextlib.suppress(OSError):  # that worker has just ended; its supervisor will call `remove`
                channel.send(replace(request, number=number))
        self._reply_if_complete(number, pending)

    def _reply_if_complete(self, number: int, pending: _Pending, replied: Connection | None = None) -> None:
        if replied is not None:
            pending.waiting.discard(replied)
        if not pending.waiting:
            del self._pending[number]
            with contextlib.suppress(OSError):
                pending.sender.send(PeerReplies(pending.number, tuple(pending.values)))
