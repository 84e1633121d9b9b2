"""DedicatedThreads: threads that compute while the calling thread waits, and count their time for it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

R = TypeVar("R")

# By calling thread: the seconds that dedicated threads have worked for it.
_worked = threading.local()


def dedicated_thread_seconds() -> float:
    """Returns the seconds that dedicated threads have worked for the calling thread so far."""
    seconds: float = getattr(_worked, "seconds", 0.0)
    return seconds


class DedicatedThreads:
    """At most `threads` threads whose names start with `name`, created when they are needed."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def run(self, function: Callable[..., R], *arguments: Any) -> R:
        """Returns `function(*arguments)`, called on one of the threads."""
        seconds, answer = self._pool.submit(_timed, function, *arguments).result()
        _worked.seconds = dedicated_thread_seconds() + seconds
        return answer

    def close(self) -> None:
        self._pool.shutdown(wait=False)


def _timed(function: Callable[..., R], *arguments: Any) -> tuple[float, R]:
    began = time.perf_counter()
    answer = function(*arguments)
    return time.perf_counter() - began, answer
