"""Where a model runs: on the event loop while that is quick, in a thread of the pool otherwise."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from serve.execution.runner import PATIENCE, PROBATION, RELEGATION, SLOW_SECONDS, DirectRunner

SIGNATURE: Any = SimpleNamespace(name="serving_default")


class Model:
    """What a runner needs of a lease and its model; `work` is what a run does."""

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

    def ran_here(self) -> list[bool]:
        """Of each run, whether it was on the thread that asks."""
        return [thread == threading.get_ident() for thread in self.threads]


@pytest.fixture
def runner() -> Iterator[DirectRunner]:
    made = DirectRunner(1)
    yield made
    made.close()


def run(runner: DirectRunner, model: Any, times: int, elements: int = 10) -> list[bool]:
    """The last `times` runs: whether each was on the loop."""

    async def ask() -> None:
        for _ in range(times):
            await runner.call(model, SIGNATURE, elements, model.run)

    asyncio.run(ask())
    return [bool(here) for here in model.ran_here()[-times:]]


@contextmanager
def busy_interpreter() -> Iterator[None]:
    """Another thread holds the interpreter's lock whenever it can."""
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


def test_a_quick_model_comes_to_the_loop_after_its_probation(runner: DirectRunner) -> None:
    ran = run(runner, Model(lambda: None), PROBATION + 3)
    assert ran == [False] * PROBATION + [True] * 3


def test_larger_inputs_have_a_probation_of_their_own(runner: DirectRunner) -> None:
    model = Model(lambda: None)
    run(runner, model, PROBATION)
    assert run(runner, model, 2, elements=1000) == [False, True]


def test_large_inputs_that_are_slow_leave_small_ones_on_the_loop(runner: DirectRunner) -> None:
    pause = [0.0]
    model = Model(lambda: time.sleep(pause[0]))
    run(runner, model, PROBATION)
    pause[0] = 2 * SLOW_SECONDS
    assert run(runner, model, 2, elements=1000) == [False, False]
    pause[0] = 0.0
    assert run(runner, model, 2) == [True, True]


def test_a_model_that_computes_long_stays_in_the_pool(runner: DirectRunner) -> None:
    def compute() -> None:
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass

    assert not any(run(runner, Model(compute), 2 * PROBATION))


def test_a_quick_model_comes_to_the_loop_although_threads_fight_for_the_interpreter(runner: DirectRunner) -> None:
    # A model lets go of the interpreter while it computes, and has to get it back.
    with busy_interpreter():
        assert any(run(runner, Model(lambda: time.sleep(0)), 20 * PROBATION))


def test_a_model_that_waits_leaves_the_loop_and_is_tried_there_ever_more_rarely(runner: DirectRunner) -> None:
    ran = run(runner, Model(lambda: time.sleep(0.002)), 5 * RELEGATION)
    assert not any(ran[:PROBATION])
    assert sum(ran) <= 4 * PATIENCE


def test_a_model_that_waits_very_long_is_never_tried_on_the_loop(runner: DirectRunner) -> None:
    assert not any(run(runner, Model(lambda: time.sleep(2 * SLOW_SECONDS)), PROBATION + 3))
