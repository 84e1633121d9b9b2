"""Deadline and DeadlineTimer: a limit on the time a request takes, at no timer a request."""

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from serve.errors import Code, ServeError

# How late a deadline may be noticed.
TICK_SECONDS = 0.05


class DeadlineTimer:
    """Looks, every now and then while requests run, which of them have run too long: one timer for all.

    A timer for each request, nearly always cancelled, costs more than all else a request passes at the admission.
    """

    def __init__(self) -> None:
        # Deadlines enter themselves, and leave: a step less for each.
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
    """A context around what the current task awaits. DEADLINE_EXCEEDED if that takes too long."""

    __slots__ = ("_clock", "_expired", "_loop", "_seconds", "_task", "at")

    def __init__(self, clock: DeadlineTimer, seconds: float) -> None:
        """`seconds`: 0 waits without limit."""
        self._clock = clock
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> "Deadline":
        if self._seconds:
            loop = self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task(loop)
            self.at = loop.time() + self._seconds
            self._clock.running[self] = None
            if not self._clock.ticking:
                self._clock.start(loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seconds:
            self._clock.running.pop(self, None)
        if self._expired and isinstance(error, asyncio.CancelledError):
            message = f"Timed out waiting for notification: no answer within {self._seconds:g} s"
            raise ServeError(Code.DEADLINE_EXCEEDED, message) from None

    def restart(self) -> None:
        """As much time from now on."""
        if self._seconds:
            self.at = self._loop.time() + self._seconds

    def expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()


T = TypeVar("T")


@types.coroutine
def with_context_if_suspended(
    work: Awaitable[T], around: Callable[[], AbstractContextManager[Any]]
) -> Generator[Any, Any, T]:
    """`with around(): return await work`, but `around` is called after the first step of `work`, unless that ended it.

    Most requests never wait: a deadline or a watch over them would cost more than it could ever do.
    """
    steps = work.__await__()
    try:
        waiting = steps.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    with around():
        try:
            while True:
                try:
                    value = yield waiting
                except BaseException as error:  # passed on into the work, as `await` would
                    waiting = steps.throw(error)
                else:
                    waiting = steps.send(value)
        except StopIteration as done:
            result = done.value
            return result


@types.coroutine
def next_turn() -> Generator[None, None, None]:
    """To be awaited: the rest follows in the event loop's next turn. As `asyncio.sleep(0)`, in fewer steps."""
    yield
