"""Which processor a thread runs on."""

import os
import sys


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
