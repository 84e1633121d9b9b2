"""Metrics of the process, under the names that Prometheus exporters use."""

from functools import cache
from typing import TYPE_CHECKING

from serve.metrics.instruments import Counter, Gauge, Labels, Metric, Reading

if TYPE_CHECKING:
    import psutil


@cache
def _process() -> "psutil.Process":
    import psutil

    return psutil.Process()


def resident_bytes() -> int:
    """Returns the resident memory of this process, in bytes."""
    return int(_process().memory_info().rss)


def private_bytes() -> int:
    """Returns the memory of this process that is not backed by files; all its memory where the system does not tell."""
    memory = _process().memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def _resident() -> dict[Labels, float]:
    return {(): resident_bytes()}


def _started() -> dict[Labels, float]:
    return {(): _process().create_time()}


def _threads() -> dict[Labels, float]:
    return {(): _process().num_threads()}


class _CpuSeconds(Counter):
    """A counter that is read when a snapshot is taken, like a gauge."""

    def readings(self) -> dict[Labels, Reading]:
        times = _process().cpu_times()
        return {(): times.user + times.system}


_resident_memory = Gauge("process_resident_memory_bytes", "Resident memory.")
_resident_memory.read_from(_resident)
_start_time = Gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", combine=min)
_start_time.read_from(_started)
_thread_count = Gauge("process_threads", "Threads.")
_thread_count.read_from(_threads)

PROCESS_METRICS: tuple[Metric, ...] = (
    _resident_memory,
    _start_time,
    _thread_count,
    _CpuSeconds("process_cpu_seconds_total", "User and system CPU time."),
)
