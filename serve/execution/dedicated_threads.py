"""DedicatedThreads: threads that work while the one that asked waits; a stopwatch there counts what they did."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

R = TypeVar("R")

_done = threading.local()


def dedicated_thread_seconds() -> float:
    """How long this thread has waited for others in all, so far."""
    seconds: float = getattr(_done, "seconds", 0.0)
    return seconds


class DedicatedThreads:
    """So many threads called `name`, made when they are needed."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def run(self, function: Callable[..., R], *arguments: Any) -> R:
        """`function(*arguments)` in one of them."""
        seconds, answer = self._pool.submit(_timed, function, *arguments).result()
        _done.seconds = dedicated_thread_seconds() + seconds
        return answer

    def close(self) -> None:
        self._pool.shutdown(wait=False)


def _timed(function: Callable[..., R], *arguments: Any) -> tuple[float, R]:
    began = time.perf_counter()
    answer = function(*arguments)
    return time.perf_counter() - began, answer
