"""Runs a handler within its deadline, and ends it when the client has gone: at no cost unless the handler waits."""

import asyncio
import types
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

from starlette.types import Receive

from serve.errors import Code, ServeError
from serve.transport.grpc_asgi.call import Call
from serve.transport.grpc_asgi.framing import ClientLeftError

T = TypeVar("T")
# pyvoy answers `receive` at once with an empty body as long as the client is there, so it has to be asked now and then.
POLL_SECONDS = 0.05


class Watch:
    """Cancels the current task when the deadline passes or the client leaves, and remembers which it was."""

    def __init__(self, receive: Receive, call: Call) -> None:
        self.reason: Exception | None = None
        self._receive = receive
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None
        self._asked: asyncio.Future[Any] | None = None
        self._wait()

    def close(self) -> None:
        """Stops watching. A pending `receive` stays pending: the server completes it when the stream ends."""
        if self._timer:
            self._timer.cancel()
        if self._asked:
            self._asked.remove_done_callback(self._heard)

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

    def _heard(self, asked: "asyncio.Future[Any]") -> None:
        self._asked = None
        if asked.cancelled() or asked.exception() or asked.result()["type"] == "http.disconnect":
            self._cancel(ClientLeftError())

    def _cancel(self, reason: Exception) -> None:
        if self.reason is None and self._task:
            self.reason = reason
            self._task.cancel()


@types.coroutine
def within(work: Awaitable[T], receive: Receive, call: Call) -> Generator[Any, Any, T]:
    """What `work` returns. Raises DEADLINE_EXCEEDED if the deadline passes first, ClientLeftError if the client goes.

    The first step runs here and now: a handler that never waits costs neither a task nor a timer.
    """
    steps = work.__await__()
    try:
        waiting = steps.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    watch = Watch(receive, call)
    try:
        while True:
            try:
                value = yield waiting
            except BaseException as error:  # passed on into the handler, as `await` would
                waiting = steps.throw(error)
            else:
                waiting = steps.send(value)
    except StopIteration as done:
        result = done.value
        return result
    except asyncio.CancelledError:
        if watch.reason:
            raise watch.reason from None
        raise
    finally:
        watch.close()
