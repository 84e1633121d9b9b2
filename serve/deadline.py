"""Deadline and Clock: a limit on the time a request takes, at no timer a request."""

import asyncio
from types import TracebackType

from serve.errors import Code, ServeError

# How late a deadline may be noticed.
TICK_SECONDS = 0.05


class Clock:
    """Looks, every now and then while requests run, which of them have run too long: one timer for all.

    A timer for each request, nearly always cancelled, costs more than all else a request passes at the edge.
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

    def __init__(self, clock: Clock, seconds: float) -> None:
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
