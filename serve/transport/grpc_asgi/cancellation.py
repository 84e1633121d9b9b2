"""CallCancellation: cancels the handler of a call when its deadline passes or its client disconnects."""

import asyncio
from types import TracebackType

from starlette.types import Message, Receive

from serve.errors import Code, ServeError
from serve.transport.grpc_asgi.call_context import AsgiCallContext
from serve.transport.grpc_asgi.framing import ClientDisconnectedError

# pyvoy answers `receive` at once with an empty body as long as the client is there, so it has to be asked now and then.
POLL_SECONDS = 0.05


class CallCancellation:
    """A context manager around a handler. Raises DEADLINE_EXCEEDED or ClientDisconnectedError after cancelling it."""

    def __init__(self, receive: Receive, call: AsgiCallContext) -> None:
        self._receive = receive
        self._call = call
        self._reason: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked: asyncio.Future[Message] | None = None

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        if self._asked:
            # It stays pending: the server completes it when the stream ends.
            self._asked.remove_done_callback(self._heard)
        if self._reason and isinstance(error, asyncio.CancelledError):
            raise self._reason from None

    def _wait(self) -> None:
        left = self._call.time_remaining()
        self._timer = self._loop.call_later(POLL_SECONDS if left is None else min(left, POLL_SECONDS), self._look)

    def _look(self) -> None:
        if self._call.time_remaining() == 0.0:
            self._cancel(ServeError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"))
        elif self._asked is None:
            self._asked = asyncio.ensure_future(self._receive())
            self._asked.add_done_callback(self._heard)
            self._wait()
        else:
            self._wait()

    def _heard(self, asked: "asyncio.Future[Message]") -> None:
        self._asked = None
        if asked.cancelled() or asked.exception() or asked.result()["type"] == "http.disconnect":
            self._cancel(ClientDisconnectedError())

    def _cancel(self, reason: Exception) -> None:
        if self._reason is None and self._task:
            self._reason = reason
            self._task.cancel()
