"""A small model computes on the calling thread or on all threads; the outputs are the same."""

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
    """A clock that advances by the time of each run and remembers which clock was read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.clocks_read: list[str] = []

    def perf_counter(self) -> float:
        self.clocks_read.append("wall")
        return self.now

    def thread_time(self) -> float:
        self.clocks_read.append("thread")
        return self.now

    def take(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(thread_count, "time", clock)
    return clock


def run(
    policy: thread_count.ThreadCountPolicy,
    clock: Time,
    elements: int,
    one_thread_seconds: float,
    all_threads_seconds: float = 0.0,
) -> bool:
    """Runs signature `a` once. Returns whether it used one thread."""
    single_threaded = policy.uses_one_thread("a", elements)
    seconds = one_thread_seconds if single_threaded else all_threads_seconds
    policy.run("a", elements, clock.take, seconds, single_threaded=single_threaded)
    return single_threaded


LONG, SHORT = thread_count.ONE_THREAD_SECONDS * 2, thread_count.ONE_THREAD_SECONDS / 2


def test_long_runs_make_inputs_of_their_size_use_several_threads(clock: Time) -> None:
    policy = thread_count.ThreadCountPolicy(cores=2)
    for _ in range(3 * thread_count.LONG_RUNS_BEFORE_TRIAL):
        run(policy, clock, 100, LONG)
        run(policy, clock, 100, SHORT)
    assert policy.uses_one_thread("a", 10**9)
    # The first of them is known to be long only on the wall clock.
    for _ in range(1 + thread_count.LONG_RUNS_BEFORE_TRIAL):
        run(policy, clock, 100, LONG)
    assert [
        policy.uses_one_thread("a", 99),
        policy.uses_one_thread("a", 100),
        policy.uses_one_thread("b", 100),
    ] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(("all_threads_seconds", "single_threaded"), [(LONG / 2, False), (LONG * 2, True)])
def test_long_runs_use_the_number_of_threads_that_was_faster(
    clock: Time, all_threads_seconds: float, single_threaded: bool
) -> None:
    policy = thread_count.ThreadCountPolicy(cores=2)
    for _ in range(1 + thread_count.LONG_RUNS_BEFORE_TRIAL):
        run(policy, clock, 100, LONG)
    tried = [run(policy, clock, 100, LONG, all_threads_seconds) for _ in range(2 * thread_count.TRIALS)]
    assert sum(tried) == thread_count.TRIALS
    assert {run(policy, clock, 100, LONG, all_threads_seconds) for _ in range(3)} == {single_threaded}
    # Larger inputs are tried separately.
    assert not policy.uses_one_thread("a", 1000)


@pytest.mark.parametrize(("cores", "single_threaded"), [(1, True), (2, True), (4, False)])
def test_a_run_uses_one_thread_while_other_runs_keep_the_cores_busy(
    clock: Time, cores: int, single_threaded: bool
) -> None:
    policy = thread_count.ThreadCountPolicy(cores)
    for _ in range(1 + thread_count.LONG_RUNS_BEFORE_TRIAL):
        run(policy, clock, 100, LONG)
    seen: list[bool] = []
    policy.run("a", 100, lambda: seen.append(policy.uses_one_thread("a", 100)), single_threaded=False)
    assert seen == [single_threaded]


def test_cpu_time_is_read_only_after_a_long_run(clock: Time) -> None:
    policy = thread_count.ThreadCountPolicy(cores=2)
    for seconds in (SHORT, LONG, SHORT, SHORT):
        run(policy, clock, 100, seconds)
    assert clock.clocks_read[::2] == ["wall", "wall", "thread", "wall"]


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
def test_outputs_are_the_same_on_one_thread_and_on_all(
    model: LoadedModel, name: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = next(each for each in model.signatures.values() if set(each.inputs) == set(INPUTS[name]))
    outputs = list(signature.outputs)
    first = model.run(signature.name, INPUTS[name], outputs)
    monkeypatch.setattr(thread_count, "ONE_THREAD_SECONDS", seconds)
    for _ in range(thread_count.LONG_RUNS_BEFORE_TRIAL + 2 * thread_count.TRIALS + 3):
        again = model.run(signature.name, INPUTS[name], outputs)
        for output in outputs:
            np.testing.assert_array_equal(again[output], first[output])


def test_time_that_a_thread_waits_counts() -> None:
    timer = ThreadTimer()
    time.sleep(0.01)
    assert timer.seconds() >= 0.01


def test_time_that_a_thread_computes_counts() -> None:
    timer, until = ThreadTimer(), time.thread_time() + 0.01
    while time.thread_time() < until:
        pass
    assert timer.seconds() >= 0.009


def test_time_of_dedicated_threads_counts_for_the_calling_thread() -> None:
    def compute() -> str:
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass
        return threading.current_thread().name

    threads, timer = DedicatedThreads(1, "others"), ThreadTimer()
    name = threads.run(compute)
    threads.close()
    assert name.startswith("others")
    assert timer.cpu_seconds() >= 0.009
    assert ThreadTimer().cpu_seconds() < 0.009
