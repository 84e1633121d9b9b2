"""Loop: uvloop's event loop, which keeps pyvoy's dispatcher thread on its own processor.

The dispatcher thread belongs to pyvoy and hands requests to the loop. Both threads need the interpreter lock. On two
processors, each handover of the lock wakes the other thread, and the data that both touch moves between the processors'
caches. On one processor the dispatcher, scheduled as a batch thread, does not preempt the loop when it wakes: it runs
when the loop has nothing left to do, and then finds several requests.
"""

import asyncio
import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any

import uvloop

from serve.execution.affinity import pin_thread

# How many requests pass between two checks of the processor that the loop's thread runs on.
REQUESTS_PER_CHECK = 64
# The module name of pyvoy's callbacks.
_PYVOY = "_pyvoy.asgi"


class Loop(uvloop.Loop):
    """A worker's event loop. It runs where the system schedules it, and the dispatcher thread follows."""

    def __init__(self) -> None:
        super().__init__()
        self._dispatcher: int | None = None
        self._processor: int | None = None
        self._requests = 0
        # On this loop only, and until the first request: after that, uvloop's own method is called directly.
        self.call_soon_threadsafe = self._call_soon_and_find_dispatcher  # type: ignore[method-assign]

    def _call_soon_and_find_dispatcher(
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        if type(callback).__module__ == _PYVOY:
            self._dispatcher = threading.get_native_id()
            del self.call_soon_threadsafe
        return super().call_soon_threadsafe(callback, *args, context=context)

    def count_request(self) -> None:
        """Called on the loop's thread for every request. Some calls move the dispatcher to the loop's processor."""
        if self._requests % REQUESTS_PER_CHECK == 0 and self._dispatcher:
            self._move(self._dispatcher)
        self._requests += 1

    def _move(self, dispatcher: int) -> None:
        if sys.platform != "linux":
            return
        processor = ctypes.CDLL(None).sched_getcpu()
        if processor != self._processor:
            self._processor = processor
            if not pin_thread(processor, dispatcher):
                self._dispatcher = None


class LoopPolicy(asyncio.DefaultEventLoopPolicy):
    """The event loop policy of a worker: pyvoy gets its event loop from asyncio, which makes it a Loop."""

    def new_event_loop(self) -> Loop:
        return Loop()
