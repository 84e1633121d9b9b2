"""Width: how many threads a run is worth, one or all. Learnt from the runs themselves."""

import sys
import time

# Up to this size a model is held twice: once more for runs on a single thread.
MAX_NARROW_BYTES = 4 << 20
# Computing for less than this is not worth handing parts of it to other threads: that would cost more than it saves.
NARROW_SECONDS = 0.001
# So many in a row: one alone may have met a machine that was slow for a moment.
PATIENCE = 4


class Width:
    """Of one model. Every run is narrow until some have taken too long; then those as large as they are wide."""

    def __init__(self) -> None:
        self._wide_from: dict[str, int] = {}
        self._long_runs: dict[str, int] = {}

    def is_narrow(self, signature: str, elements: int) -> bool:
        """Whether `signature` on inputs of so many elements is to be run on the thread that asks and no other."""
        return elements < self._wide_from.get(signature, sys.maxsize)

    def narrow_run(self, signature: str, elements: int, seconds: float) -> None:
        """One took so much CPU time of its thread; not a first one, which tells nothing about the next."""
        if seconds <= NARROW_SECONDS:
            self._long_runs[signature] = 0
            return
        self._long_runs[signature] = self._long_runs.get(signature, 0) + 1
        if self._long_runs[signature] >= PATIENCE:
            self._wide_from[signature] = elements


# The CPU time of this thread, not the clock's: it may have had to wait for a core.
clock = time.thread_time
