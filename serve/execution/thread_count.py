"""ThreadCountPolicy: how many threads a run is worth, one or all. Learnt from the runs themselves."""

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

# Computing for less than this is not worth handing parts of it to other threads: that would cost more than it saves.
ONE_THREAD_SECONDS = 0.001
# So many in a row: one alone may have met a machine that was slow for a moment.
PATIENCE = 4
# So many runs of each width, in turn, decide for runs that take longer.
TRIALS = 5

R = TypeVar("R")


class ThreadCountPolicy:
    """Decides for one model. Runs use one thread until some have taken too long; then both ways are tried.

    Handing parts of many small operators to other threads can cost more than it saves, however long they all take.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._many_threads_from: dict[str, int] = {}
        # Signatures whose last run took long on the wall's clock, and how many in a row have taken long since.
        self._long_runs: dict[str, int] = {}
        self._trials: dict[tuple[str, int], _Trial] = {}
        # One entry a run that goes on: threads add and take entries without a lock.
        self._running: list[None] = []

    def uses_one_thread(self, signature: str, elements: int) -> bool:
        """Whether `signature` on inputs of so many elements is to be run on the thread that asks and no other."""
        if elements < self._many_threads_from.get(signature, sys.maxsize):
            return True
        # While others keep the cores busy there is nobody to hand parts to.
        return len(self._running) + 1 >= self._cores or self._trial(signature, elements).uses_one_thread

    def run(
        self, signature: str, elements: int, function: Callable[..., R], *arguments: Any, single_threaded: bool
    ) -> R:
        """`function(*arguments)`, as `uses_one_thread` says; not a first run, which tells nothing about the next."""
        small = elements < self._many_threads_from.get(signature, sys.maxsize)
        alone = not self._running
        # For a small run the CPU time of the thread is what counts: it may have had to wait for a core. To ask for it
        # costs a system call, so it is asked for only after a run that was long on the wall's clock.
        doubtful = signature in self._long_runs
        clock = time.thread_time if small and doubtful else time.perf_counter
        self._running.append(None)
        began = clock()
        try:
            answer = function(*arguments)
        finally:
            self._running.pop()
        seconds = clock() - began
        if small:
            if doubtful or seconds > ONE_THREAD_SECONDS:
                self._record(signature, elements, seconds)
        elif alone and not self._running:
            self._trial(signature, elements).record(seconds, single_threaded=single_threaded)
        return answer

    def _record(self, signature: str, elements: int, seconds: float) -> None:
        if seconds <= ONE_THREAD_SECONDS:
            self._long_runs.pop(signature, None)
            return
        long_runs = self._long_runs[signature] = self._long_runs.get(signature, -1) + 1
        if long_runs >= PATIENCE:
            self._many_threads_from[signature] = elements

    def _trial(self, signature: str, elements: int) -> "_Trial":
        key = signature, elements.bit_length()
        return self._trials.get(key) or self._trials.setdefault(key, _Trial())


class _Trial:
    """Which width is quicker for one signature on inputs of about one size."""

    def __init__(self) -> None:
        self.uses_one_thread = False
        self._seconds: dict[bool, list[float]] = {False: [], True: []}

    def record(self, seconds: float, *, single_threaded: bool) -> None:
        taken = self._seconds[single_threaded]
        if len(taken) == TRIALS:
            return
        taken.append(seconds)
        wide, slim = self._seconds[False], self._seconds[True]
        decided = len(wide) == len(slim) == TRIALS
        self.uses_one_thread = median(slim) < median(wide) if decided else len(slim) < len(wide)
