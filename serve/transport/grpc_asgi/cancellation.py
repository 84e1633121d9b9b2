"""CallCancellation: cancels the handler of a call when its deadline passes or its client disconnects."""

import asyncio
from types import TracebackType

from starlette.types import Message, Receive

from serve.errors import Code, ServeError
from serve.transport.grpc_asgi.call_context import AsgiCallContext
from serve.transport.grpc_asgi.framing import ClientDisconnectedError

# pyvoy's `receive` returns an empty body at once while the client is connected, so it has to be polled.
POLL_SECONDS = 0.05


class CallCancellation:
    """A context manager around a handler. Raises DEADLINE_EXCEEDED or ClientDisconnectedError after cancelling it."""

    def __init__(self, receive: Receive, call: AsgiCallContext) -> None:
        self._receive = receive
        self._call = call
        self._reason: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._receiving: asyncio.Future[Message] | None = None

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._schedule_check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        if self._receiving:
            # The future stays pending; the ASGI server completes it when the stream ends.
            self._receiving.remove_done_callback(self._on_event)
        if self._reason and isinstance(error, asyncio.CancelledError):
            raise self._reason from None

    def _schedule_check(self) -> None:
        left = self._call.time_remaining()
        self._timer = self._loop.call_later(POLL_SECONDS if left is None else min(left, POLL_SECONDS), self._check)

    def _check(self) -> None:
        if self._call.time_remaining() == 0.0:
            self._cancel(ServeError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded"))
        elif self._receiving is None:
            self._receiving = asyncio.ensure_future(self._receive())
            self._receiving.add_done_callback(self._on_event)
            self._schedule_check()
        else:
            self._schedule_check()

    def _on_event(self, event: "asyncio.Future[Message]") -> None:
        self._receiving = None
        if event.cancelled() or event.exception() or event.result()["type"] == "http.disconnect":
            self._cancel(ClientDisconnectedError())

    def _cancel(self, reason: Exception) -> None:
        if self._reason is None and self._task:
            self._reason = reason
            self._task.cancel()
