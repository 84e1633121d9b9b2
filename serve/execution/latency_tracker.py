"""LatencyTracker: learns whether the runs of one signature are quick enough for the event loop's own thread."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from serve.execution.thread_time import ThreadTimer

# Handing a run to another thread costs about 60 us. A run below this many seconds is cheaper on the event loop.
QUICK_SECONDS = 0.0005
# A run longer than this counts as slow, however busy the machine is.
SLOW_SECONDS = 0.03
# Consecutive quick runs in the pool before a signature moves to the event loop.
QUICK_RUNS_BEFORE_LOOP = 5
# Consecutive slow runs on the event loop before it moves off.
SLOW_RUNS_BEFORE_POOL = 8
# Quick runs in the pool that it then needs in addition before it is tried on the loop again. Doubles every time.
BACKOFF_RUNS, MAX_BACKOFF_RUNS = 100, 100_000

R = TypeVar("R")


class LatencyTracker:
    """The recent run times of one signature, and the largest inputs for which they were quick.

    One slow run among quick ones is ignored, because another process may have taken the core meanwhile. A signature
    that is moved off the event loop comes back after a backoff that doubles each time: a model that waits for something
    other than the processor looks quick in the pool, where only its CPU time counts.
    """

    __slots__ = ("_backoff", "_elements", "_quick_runs", "_slow_runs", "_time_next_run", "quick_elements")

    def __init__(self) -> None:
        # The largest inputs, in elements, that run on the event loop; -1 while none do.
        self.quick_elements = -1
        # Negative during a backoff.
        self._quick_runs = 0
        self._slow_runs = 0
        # The largest inputs of a quick run.
        self._elements = 0
        self._backoff = BACKOFF_RUNS
        # Set after a run that was long by the wall clock, which does not show why. The next run is timed exactly.
        self._time_next_run = False

    def run_on_loop(self, elements: int, function: Callable[..., R], *arguments: Any) -> R:
        """Calls `function` on this thread and records how long it took."""
        # ThreadTimer makes a system call, which a quick run should not pay for.
        timer = ThreadTimer() if self._time_next_run else None
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds = timer.seconds() if timer else time.perf_counter() - began
            long = seconds > QUICK_SECONDS
            if timer or (not long and self._slow_runs):
                self._record(elements, seconds)
            self._time_next_run = long

    def run_in_pool(self, elements: int, function: Callable[..., R], *arguments: Any) -> R:
        """Calls `function` on this thread of the pool and records its CPU time.

        A thread of the pool also waits for Python's global interpreter lock, which it would not do on the event loop;
        wall-clock time would therefore keep quick models off the loop for as long as the load lasts.
        """
        timer = ThreadTimer()
        try:
            return function(*arguments)
        finally:
            seconds = timer.seconds()
            self._record(elements, seconds if seconds > SLOW_SECONDS else timer.cpu_seconds())

    def _record(self, elements: int, seconds: float) -> None:
        self._count(elements, seconds)
        self.quick_elements = self._elements if self._quick_runs >= QUICK_RUNS_BEFORE_LOOP else -1

    def _count(self, elements: int, seconds: float) -> None:
        if seconds <= QUICK_SECONDS:
            self._quick_runs += 1
            self._slow_runs = 0
            self._elements = max(self._elements, elements)
            return
        if self._quick_runs >= QUICK_RUNS_BEFORE_LOOP and elements > self._elements:
            return  # larger than any quick run: it says nothing about the runs on the event loop
        self._slow_runs += SLOW_RUNS_BEFORE_POOL if seconds > SLOW_SECONDS else 1
        if self._slow_runs >= SLOW_RUNS_BEFORE_POOL:
            if self._quick_runs >= QUICK_RUNS_BEFORE_LOOP:
                self._quick_runs = -self._backoff
                self._backoff = min(2 * self._backoff, MAX_BACKOFF_RUNS)
            self._quick_runs = min(self._quick_runs, 0)
            self._elements = min(self._elements, elements // 2)
