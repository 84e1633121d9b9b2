"""A model runs on the event loop while its runs are quick, otherwise on a thread of the pool."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from serve.execution.latency_tracker import (
    BACKOFF_RUNS,
    QUICK_RUNS_BEFORE_LOOP,
    SLOW_RUNS_BEFORE_POOL,
    SLOW_SECONDS,
)
from serve.execution.runner import DirectRunner

SIGNATURE: Any = SimpleNamespace(name="serving_default")


class Model:
    """A lease and its model, with the members that the runner uses; each run calls `work`."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self.model = self
        self.threads: list[int] = []

    def share(self) -> "Model":
        return self

    def release(self) -> None:
        pass

    def run(self) -> None:
        self.threads.append(threading.get_ident())
        self._work()

    def ran_on_this_thread(self) -> list[bool]:
        """Whether each run was on the calling thread."""
        return [thread == threading.get_ident() for thread in self.threads]


@pytest.fixture
def runner() -> Iterator[DirectRunner]:
    made = DirectRunner(1)
    yield made
    made.close()


def run(runner: DirectRunner, model: Any, times: int, elements: int = 10) -> list[bool]:
    """Runs the model `times` times. Returns whether each run was on the event loop."""

    async def call() -> None:
        for _ in range(times):
            await runner.call(model, SIGNATURE, elements, model.run)

    asyncio.run(call())
    return [bool(here) for here in model.ran_on_this_thread()[-times:]]


@contextmanager
def busy_interpreter() -> Iterator[None]:
    """Another thread holds the global interpreter lock whenever it can."""
    over = threading.Event()

    def spin() -> None:
        while not over.is_set():
            sum(range(1000))

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_quick_model_moves_to_the_loop_after_some_quick_runs(runner: DirectRunner) -> None:
    ran = run(runner, Model(lambda: None), QUICK_RUNS_BEFORE_LOOP + 3)
    assert ran == [False] * QUICK_RUNS_BEFORE_LOOP + [True] * 3


def test_larger_inputs_move_to_the_loop_after_a_quick_run_of_their_size(runner: DirectRunner) -> None:
    model = Model(lambda: None)
    run(runner, model, QUICK_RUNS_BEFORE_LOOP)
    assert run(runner, model, 2, elements=1000) == [False, True]


def test_slow_runs_on_large_inputs_leave_small_inputs_on_the_loop(runner: DirectRunner) -> None:
    pause = [0.0]
    model = Model(lambda: time.sleep(pause[0]))
    run(runner, model, QUICK_RUNS_BEFORE_LOOP)
    pause[0] = 2 * SLOW_SECONDS
    assert run(runner, model, 2, elements=1000) == [False, False]
    pause[0] = 0.0
    assert run(runner, model, 2) == [True, True]


def test_a_model_that_computes_long_stays_in_the_pool(runner: DirectRunner) -> None:
    def compute() -> None:
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass

    assert not any(run(runner, Model(compute), 2 * QUICK_RUNS_BEFORE_LOOP))


def test_a_quick_model_moves_to_the_loop_although_threads_compete_for_the_interpreter(runner: DirectRunner) -> None:
    # A model releases the global interpreter lock while it computes and has to acquire it again.
    with busy_interpreter():
        assert any(run(runner, Model(lambda: time.sleep(0)), 20 * QUICK_RUNS_BEFORE_LOOP))


def test_a_model_that_waits_leaves_the_loop_and_its_backoff_doubles(runner: DirectRunner) -> None:
    ran = run(runner, Model(lambda: time.sleep(0.002)), 5 * BACKOFF_RUNS)
    assert not any(ran[:QUICK_RUNS_BEFORE_LOOP])
    assert sum(ran) <= 4 * SLOW_RUNS_BEFORE_POOL


def test_a_model_that_waits_very_long_is_never_tried_on_the_loop(runner: DirectRunner) -> None:
    assert not any(run(runner, Model(lambda: time.sleep(2 * SLOW_SECONDS)), QUICK_RUNS_BEFORE_LOOP + 3))
