"""Loop: uvloop's event loop, with pyvoy's courier on the same processor.

The courier is the thread of pyvoy's that hands requests to the loop. Both need the interpreter's lock: on two
processors each handing over of it wakes the other one, and what both touch travels between their caches. On one, and as
a batch thread, which does not interrupt another when it wakes, the courier runs when the loop has nothing left to do,
and then finds several requests.
"""

import asyncio
import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any

import uvloop

from serve.execution.affinity import keep_to

# Requests between two looks at where the loop's thread runs.
REQUESTS_PER_LOOK = 64
# The module that pyvoy's callbacks name as theirs.
_PYVOY = "_pyvoy.asgi"


class Loop(uvloop.Loop):
    """One worker's loop. It runs where the system puts it, and the courier follows."""

    def __init__(self) -> None:
        super().__init__()
        self._courier: int | None = None
        self._processor: int | None = None
        self._requests = 0

    def call_soon_threadsafe(  # type: ignore[override]  # uvloop's own signature, older than asyncio's
        self, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        if type(callback).__module__ == _PYVOY:
            self._courier = threading.get_native_id()
            # There is nothing more to learn here: from now on uvloop's own is called, without a step between.
            del Loop.call_soon_threadsafe
        return super().call_soon_threadsafe(callback, *args, context=context)

    def count_request(self) -> None:
        """To be called on the loop's thread for every request: now and then the courier is sent after it."""
        if self._requests % REQUESTS_PER_LOOK == 0 and self._courier:
            self._move(self._courier)
        self._requests += 1

    def _move(self, courier: int) -> None:
        if sys.platform != "linux":
            return
        processor = ctypes.CDLL(None).sched_getcpu()
        if processor != self._processor:
            self._processor = processor
            if not keep_to(processor, courier):
                self._courier = None


class Policy(asyncio.DefaultEventLoopPolicy):
    """Makes Loops: pyvoy asks asyncio for one."""

    def new_event_loop(self) -> Loop:
        return Loop()
