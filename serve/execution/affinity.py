"""The processors that threads and workers run on."""

import os
import sys

from serve.config import Config


def pin_thread(processor: int, thread: int = 0) -> bool:
    """Pins a thread (0: this one) to `processor`, as a batch thread: it does not preempt other threads when it wakes.

    Threads that it starts inherit this. Returns False if it is not possible: not on Linux, or forbidden by a sandbox.
    """
    if sys.platform != "linux":
        return False
    try:
        os.sched_setaffinity(thread, {processor})
        os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        return False
    return True


def worker_processors(config: Config) -> list[int | None]:
    """Returns the processor that each worker is pinned to; None for a worker that the system schedules.

    Each gets its own if there are exactly as many as workers and a run computes on one thread. Otherwise the system
    would sometimes run two workers on one processor, and spread each worker over several.
    """
    usable = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    if len(usable) == config.workers > 1 and config.tensorflow_intra_op_parallelism <= 1:
        return [*usable]
    return [None] * config.workers
