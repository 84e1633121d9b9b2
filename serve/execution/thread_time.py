"""ThreadTimer: how long a piece of work took its thread, on a machine that others use too."""

import time

from serve.execution.dedicated_threads import dedicated_thread_seconds

try:
    import resource

    _THREAD: int | None = resource.RUSAGE_THREAD
except (ImportError, AttributeError):  # not Linux
    _THREAD = None

# A time slice is longer: within less no thread has lost its core.
SLICE_SECONDS = 0.0005


class ThreadTimer:
    """Started when it is made, in the thread that is to be watched."""

    __slots__ = ("_began", "_elsewhere", "_usage")

    def __init__(self) -> None:
        self._usage = resource.getrusage(_THREAD) if _THREAD is not None else None
        self._elsewhere = dedicated_thread_seconds()
        self._began = time.perf_counter()

    def seconds(self) -> float:
        """What the thread has worked and waited since; not what it stood still because the core was given away.

        Without a wait of its own (a lock, other threads' work) the thread's CPU time is all it needed.
        """
        elapsed = time.perf_counter() - self._began
        if elapsed <= SLICE_SECONDS or self._usage is None or _THREAD is None:
            return elapsed
        usage = resource.getrusage(_THREAD)
        return elapsed if usage.ru_nvcsw != self._usage.ru_nvcsw else _cpu(usage) - _cpu(self._usage)

    def cpu_seconds(self) -> float:
        """What the thread and those that it asked have worked since, whatever it waited for."""
        if self._usage is None or _THREAD is None:
            return time.perf_counter() - self._began
        return _cpu(resource.getrusage(_THREAD)) - _cpu(self._usage) + dedicated_thread_seconds() - self._elsewhere


def _cpu(usage: "resource.struct_rusage") -> float:
    return usage.ru_utime + usage.ru_stime
