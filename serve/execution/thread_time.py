"""ThreadTimer: how long a thread needed for a piece of work, on a machine that other processes use too."""

import time

from serve.execution.dedicated_threads import dedicated_thread_seconds

try:
    import resource

    _THREAD: int | None = resource.RUSAGE_THREAD
except (ImportError, AttributeError):  # not Linux
    _THREAD = None

# Shorter than a time slice of the scheduler: within this time the thread cannot have lost its core.
SLICE_SECONDS = 0.0005


class ThreadTimer:
    """Measures the thread that creates it, from then on."""

    __slots__ = ("_began", "_dedicated_seconds", "_usage")

    def __init__(self) -> None:
        self._usage = resource.getrusage(_THREAD) if _THREAD is not None else None
        self._dedicated_seconds = dedicated_thread_seconds()
        self._began = time.perf_counter()

    def seconds(self) -> float:
        """Returns the seconds that the thread worked and waited, without the time when another process had its core.

        A thread that did not wait for anything (a lock, other threads) needed its CPU time and nothing more.
        """
        elapsed = time.perf_counter() - self._began
        if elapsed <= SLICE_SECONDS or self._usage is None or _THREAD is None:
            return elapsed
        usage = resource.getrusage(_THREAD)
        return elapsed if usage.ru_nvcsw != self._usage.ru_nvcsw else _cpu(usage) - _cpu(self._usage)

    def cpu_seconds(self) -> float:
        """Returns the seconds of CPU time of the thread, and of the dedicated threads that worked for it meanwhile."""
        if self._usage is None or _THREAD is None:
            return time.perf_counter() - self._began
        worked_for_it = dedicated_thread_seconds() - self._dedicated_seconds
        return _cpu(resource.getrusage(_THREAD)) - _cpu(self._usage) + worked_for_it


def _cpu(usage: "resource.struct_rusage") -> float:
    return usage.ru_utime + usage.ru_stime
