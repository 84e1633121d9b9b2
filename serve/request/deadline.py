"""Deadline and DeadlineTimer: a limit on the time of a request, without a timer per request."""

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from serve.errors import Code, ServeError

# How late a deadline may be noticed, in seconds.
TICK_SECONDS = 0.05


class DeadlineTimer:
    """Checks every TICK_SECONDS, while requests run, which of them have exceeded their deadline.

    A timer per request, nearly always cancelled, would cost more than the rest of the admission.
    """

    def __init__(self) -> None:
        # Deadlines add and remove themselves, which saves a call for each.
        self.running: dict[Deadline, None] = {}
        self.ticking = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ticking = True
        loop.call_later(TICK_SECONDS, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in [each for each in self.running if each.at <= now]:
            del self.running[deadline]
            deadline.expire()
        if self.running:
            self.start(loop)
        else:
            self.ticking = False


class Deadline:
    """A context manager that raises DEADLINE_EXCEEDED if the block, run by the current task, takes too long."""

    __slots__ = ("_expired", "_loop", "_seconds", "_task", "_timer", "at")

    def __init__(self, timer: DeadlineTimer, seconds: float) -> None:
        """`seconds` is the limit; 0 means none."""
        self._timer = timer
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> "Deadline":
        if self._seconds:
            loop = self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task(loop)
            self.at = loop.time() + self._seconds
            self._timer.running[self] = None
            if not self._timer.ticking:
                self._timer.start(loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seconds:
            self._timer.running.pop(self, None)
        if self._expired and isinstance(error, asyncio.CancelledError):
            message = f"Timed out waiting for notification: no answer within {self._seconds:g} s"
            raise ServeError(Code.DEADLINE_EXCEEDED, message) from None

    def restart(self) -> None:
        """Grants the full time again, from now on."""
        if self._seconds:
            self.at = self._loop.time() + self._seconds

    def expire(self) -> None:
        """Cancels the task. Called by the timer."""
        self._expired = True
        if self._task is not None:
            self._task.cancel()


T = TypeVar("T")


@types.coroutine
def with_context_if_suspended(
    work: Awaitable[T], make_context: Callable[[], AbstractContextManager[object]]
) -> Generator[Any, Any, T]:
    """Awaits `work`, inside `make_context()` only once `work` suspends for the first time.

    Most requests never suspend, so they need neither a deadline nor a check whether the client has disconnected.
    """
    steps = work.__await__()
    try:
        waiting = steps.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    with make_context():
        try:
            while True:
                try:
                    value = yield waiting
                except BaseException as error:  # passed on into `work`, as `await` does
                    waiting = steps.throw(error)
                else:
                    waiting = steps.send(value)
        except StopIteration as done:
            result = done.value
            return result


@types.coroutine
def next_turn() -> Generator[None, None, None]:
    """Suspends the awaiting task until the next iteration of the event loop. Cheaper than `asyncio.sleep(0)`."""
    yield
