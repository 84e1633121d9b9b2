"""ThreadCountPolicy: whether a run computes on one thread or on all, learnt from the runs themselves."""

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

# A run shorter than this stays on one thread: handing parts of it to other threads costs more than it saves.
ONE_THREAD_SECONDS = 0.001
# Consecutive long runs before several threads are tried: a single run may be long because the machine is busy.
LONG_RUNS_BEFORE_TRIAL = 4
# Runs of each kind, in turn, that decide for longer runs.
TRIALS = 5

R = TypeVar("R")


class ThreadCountPolicy:
    """The intra-op thread policy of one model.

    Every run uses one thread until some have taken too long; for inputs of that size one thread and all threads are
    tried in turn, and the faster way stays. (Handing parts of many small operators to other threads can cost more than
    it saves, even if the operators take long together.)
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        # By signature: from how many elements on several threads are tried.
        self._trial_from: dict[str, int] = {}
        # By signature whose last run was long on the wall clock: how many have been long in a row since.
        self._long_runs: dict[str, int] = {}
        self._trials: dict[tuple[str, int], _Trial] = {}
        # One entry per run in progress. A list, because append and pop need no lock.
        self._running: list[None] = []

    def uses_one_thread(self, signature: str, elements: int) -> bool:
        """Whether a run of `signature` on inputs of `elements` elements computes on the calling thread alone."""
        if elements < self._trial_from.get(signature, sys.maxsize):
            return True
        # While other runs keep the cores busy, no thread is free to take a part.
        return len(self._running) + 1 >= self._cores or self._trial(signature, elements).uses_one_thread

    def run(
        self, signature: str, elements: int, function: Callable[..., R], *arguments: Any, single_threaded: bool
    ) -> R:
        """Returns `function(*arguments)` and records its time.

        `single_threaded` is the result of `uses_one_thread`. Not for a first run, whose time says nothing
        about the next.
        """
        small = elements < self._trial_from.get(signature, sys.maxsize)
        alone = not self._running
        # A small run may have waited for a core, so its CPU time counts. Reading it is a system call, which is only
        # made after a run that was long on the wall clock.
        was_long = signature in self._long_runs
        clock = time.thread_time if small and was_long else time.perf_counter
        self._running.append(None)
        began = clock()
        try:
            answer = function(*arguments)
        finally:
            self._running.pop()
        seconds = clock() - began
        if small:
            if was_long or seconds > ONE_THREAD_SECONDS:
                self._record(signature, elements, seconds)
        elif alone and not self._running:
            self._trial(signature, elements).record(seconds, single_threaded=single_threaded)
        return answer

    def _record(self, signature: str, elements: int, seconds: float) -> None:
        if seconds <= ONE_THREAD_SECONDS:
            self._long_runs.pop(signature, None)
            return
        long_runs = self._long_runs[signature] = self._long_runs.get(signature, -1) + 1
        if long_runs >= LONG_RUNS_BEFORE_TRIAL:
            self._trial_from[signature] = elements

    def _trial(self, signature: str, elements: int) -> "_Trial":
        key = signature, elements.bit_length()
        return self._trials.get(key) or self._trials.setdefault(key, _Trial())


class _Trial:
    """Which way is faster for one signature and inputs of about one size."""

    def __init__(self) -> None:
        self.uses_one_thread = False
        # By "single-threaded": the times of its runs.
        self._seconds: dict[bool, list[float]] = {False: [], True: []}

    def record(self, seconds: float, *, single_threaded: bool) -> None:
        taken = self._seconds[single_threaded]
        if len(taken) == TRIALS:
            return
        taken.append(seconds)
        many, one = self._seconds[False], self._seconds[True]
        decided = len(many) == len(one) == TRIALS
        self.uses_one_thread = median(one) < median(many) if decided else len(one) < len(many)
