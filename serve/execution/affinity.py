"""Which processor a thread runs on."""

import os
import sys

from serve.config import Config


def keep_to(processor: int, thread: int = 0) -> bool:
    """Let a thread (0: this one) run on `processor` only, and not interrupt what runs there when it wakes.

    Threads that it starts do likewise. False where that cannot be had: not on Linux, or a sandbox forbids it.
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
    """Returns the processor that each worker keeps to. None leaves a worker to the system.

    Each gets its own if there are exactly as many as workers and a run computes on one thread. Otherwise the system
    would sometimes run two workers on one processor, and spread each worker over several.
    """
    usable = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    if len(usable) == config.workers > 1 and config.tensorflow_intra_op_parallelism <= 1:
        return [*usable]
    return [None] * config.workers
