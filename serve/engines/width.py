"""Width: how many threads a run is worth, one or all. Learnt from the runs themselves."""

import sys
import time
from collections.abc import Callable

# Up to this size a model is held twice: once more for runs on a single thread.
MAX_NARROW_BYTES = 4 << 20
# Computing for less than this is not worth handing parts of it to other threads: that would cost more than it saves.
NARROW_SECONDS = 0.001
# So many in a row: one alone may have met a machine that was slow for a moment.
PATIENCE = 4

Clock = Callable[[], float]


class Width:
    """Of one model. Every run is narrow until some have taken too long; then those as large as they are wide."""

    def __init__(self) -> None:
        self._wide_from: dict[str, int] = {}
        # Signatures whose last run took long on the wall's clock, and how many in a row have taken long since.
        self._long_runs: dict[str, int] = {}

    def is_narrow(self, signature: str, elements: int) -> bool:
        """Whether `signature` on inputs of so many elements is to be run on the thread that asks and no other."""
        return elements < self._wide_from.get(signature, sys.maxsize)

    def clock(self, signature: str) -> Clock:
        """What to measure the next run with.

        The CPU time of the thread is what counts: it may have had to wait for a core. To ask for it costs a system
        call, so it is asked for only after a run that was long on the wall's clock.
        """
        return time.thread_time if signature in self._long_runs else time.perf_counter

    def narrow_run(self, signature: str, elements: int, seconds: float) -> None:
        """One took so long by `clock`; not a first one, which tells nothing about the next."""
        if seconds <= NARROW_SECONDS:
            self._long_runs.pop(signature, None)
            return
        long_runs = self._long_runs[signature] = self._long_runs.get(signature, -1) + 1
        if long_runs >= PATIENCE:
            self._wide_from[signature] = elements
