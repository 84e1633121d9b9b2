"""A small model computes on the thread that asks, or on all of them: its answers are the same."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serve.config import Config
from serve.engines import load
from serve.execution import thread_count
from serve.execution.dedicated_threads import DedicatedThreads
from serve.execution.thread_time import ThreadTimer
from serve.loaded_model import LoadedModel

INPUTS: dict[str, dict[str, np.ndarray]] = {
    "image": {"x": np.arange(2 * 8 * 8 * 3, dtype=np.float32).reshape(2, 8, 8, 3)},
    "words": {"word": np.array([b"a", b"c", b"?"], np.object_)},
    "counter": {"by": np.array(0, np.int32)},
    "accelerated": {"x": np.ones((3, 12), np.float32)},
}


class Time:
    """A clock that goes on by what a run takes, and remembers which one was looked at."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looked_at: list[str] = []

    def perf_counter(self) -> float:
        self.looked_at.append("wall")
        return self.now

    def thread_time(self) -> float:
        self.looked_at.append("thread")
        return self.now

    def take(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(thread_count, "time", clock)
    return clock


def run(
    learning: thread_count.ThreadCountPolicy,
    clock: Time,
    elements: int,
    narrow_seconds: float,
    wide_seconds: float = 0.0,
) -> bool:
    """One run of `a`; whether it was single_threaded."""
    single_threaded = learning.uses_one_thread("a", elements)
    seconds = narrow_seconds if single_threaded else wide_seconds
    learning.run("a", elements, clock.take, seconds, single_threaded=single_threaded)
    return single_threaded


LONG, SHORT = thread_count.ONE_THREAD_SECONDS * 2, thread_count.ONE_THREAD_SECONDS / 2


def test_runs_that_take_long_make_those_as_large_wide(clock: Time) -> None:
    learning = thread_count.ThreadCountPolicy(cores=2)
    for _ in range(3 * thread_count.PATIENCE):
        run(learning, clock, 100, LONG)
        run(learning, clock, 100, SHORT)
    assert learning.uses_one_thread("a", 10**9)
    # The first of them was long on the wall's clock only, as far as is known.
    for _ in range(1 + thread_count.PATIENCE):
        run(learning, clock, 100, LONG)
    assert [
        learning.uses_one_thread("a", 99),
        learning.uses_one_thread("a", 100),
        learning.uses_one_thread("b", 100),
    ] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(("wide_seconds", "single_threaded"), [(LONG / 2, False), (LONG * 2, True)])
def test_long_runs_get_the_width_that_was_quicker(clock: Time, wide_seconds: float, single_threaded: bool) -> None:
    learning = thread_count.ThreadCountPolicy(cores=2)
    for _ in range(1 + thread_count.PATIENCE):
        run(learning, clock, 100, LONG)
    tried = [run(learning, clock, 100, LONG, wide_seconds) for _ in range(2 * thread_count.TRIALS)]
    assert sum(tried) == thread_count.TRIALS
    assert {run(learning, clock, 100, LONG, wide_seconds) for _ in range(3)} == {single_threaded}
    # Larger inputs may gain from what these do not.
    assert not learning.uses_one_thread("a", 1000)


@pytest.mark.parametrize(("cores", "single_threaded"), [(1, True), (2, True), (4, False)])
def test_what_is_run_beside_others_is_narrow_once_the_cores_are_busy(
    clock: Time, cores: int, single_threaded: bool
) -> None:
    learning = thread_count.ThreadCountPolicy(cores)
    for _ in range(1 + thread_count.PATIENCE):
        run(learning, clock, 100, LONG)
    seen: list[bool] = []
    learning.run("a", 100, lambda: seen.append(learning.uses_one_thread("a", 100)), single_threaded=False)
    assert seen == [single_threaded]


def test_cpu_time_is_asked_for_after_a_long_run_only(clock: Time) -> None:
    learning = thread_count.ThreadCountPolicy(cores=2)
    for seconds in (SHORT, LONG, SHORT, SHORT):
        run(learning, clock, 100, seconds)
    assert clock.looked_at[::2] == ["wall", "wall", "thread", "wall"]


@pytest.fixture(scope="module", params=INPUTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str, served_models: Path, accelerated: Path) -> Iterator[LoadedModel]:
    if name == "accelerated":
        loaded = load(accelerated, Config(engine="litert"))
    else:
        loaded = load(served_models / name / "1", Config())
    yield loaded
    loaded.close()


@pytest.mark.parametrize("seconds", [float("inf"), -1.0])
def test_answers_are_the_same_on_one_thread_and_on_all(
    model: LoadedModel, name: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = next(each for each in model.signatures.values() if set(each.inputs) == set(INPUTS[name]))
    outputs = list(signature.outputs)
    first = model.run(signature.name, INPUTS[name], outputs)
    monkeypatch.setattr(thread_count, "ONE_THREAD_SECONDS", seconds)
    for _ in range(thread_count.PATIENCE + 2 * thread_count.TRIALS + 3):
        again = model.run(signature.name, INPUTS[name], outputs)
        for output in outputs:
            np.testing.assert_array_equal(again[output], first[output])


def test_what_a_thread_waits_for_counts() -> None:
    watch = ThreadTimer()
    time.sleep(0.01)
    assert watch.seconds() >= 0.01


def test_what_a_thread_computes_counts() -> None:
    watch, until = ThreadTimer(), time.thread_time() + 0.01
    while time.thread_time() < until:
        pass
    assert watch.seconds() >= 0.009


def test_what_others_compute_for_a_thread_counts() -> None:
    def compute() -> str:
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass
        return threading.current_thread().name

    threads, watch = DedicatedThreads(1, "others"), ThreadTimer()
    name = threads.run(compute)
    threads.close()
    assert name.startswith("others")
    assert watch.cpu_seconds() >= 0.009
    assert ThreadTimer().cpu_seconds() < 0.009
