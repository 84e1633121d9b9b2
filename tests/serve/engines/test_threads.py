"""A small model computes on the thread that asks, or on all of them: its answers are the same."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serve.config import Config
from serve.engines import load
from serve.execution import thread_count as width
from serve.execution.dedicated_threads import Elsewhere
from serve.execution.thread_time import Stopwatch
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
    monkeypatch.setattr(width, "time", clock)
    return clock


def run(learning: width.Width, clock: Time, elements: int, narrow_seconds: float, wide_seconds: float = 0.0) -> bool:
    """One run of `a`; whether it was narrow."""
    narrow = learning.is_narrow("a", elements)
    seconds = narrow_seconds if narrow else wide_seconds
    learning.run("a", elements, clock.take, seconds, narrow=narrow)
    return narrow


LONG, SHORT = width.NARROW_SECONDS * 2, width.NARROW_SECONDS / 2


def test_runs_that_take_long_make_those_as_large_wide(clock: Time) -> None:
    learning = width.Width(cores=2)
    for _ in range(3 * width.PATIENCE):
        run(learning, clock, 100, LONG)
        run(learning, clock, 100, SHORT)
    assert learning.is_narrow("a", 10**9)
    # The first of them was long on the wall's clock only, as far as is known.
    for _ in range(1 + width.PATIENCE):
        run(learning, clock, 100, LONG)
    assert [learning.is_narrow("a", 99), learning.is_narrow("a", 100), learning.is_narrow("b", 100)] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(("wide_seconds", "narrow"), [(LONG / 2, False), (LONG * 2, True)])
def test_long_runs_get_the_width_that_was_quicker(clock: Time, wide_seconds: float, narrow: bool) -> None:
    learning = width.Width(cores=2)
    for _ in range(1 + width.PATIENCE):
        run(learning, clock, 100, LONG)
    tried = [run(learning, clock, 100, LONG, wide_seconds) for _ in range(2 * width.TRIALS)]
    assert sum(tried) == width.TRIALS
    assert {run(learning, clock, 100, LONG, wide_seconds) for _ in range(3)} == {narrow}
    # Larger inputs may gain from what these do not.
    assert not learning.is_narrow("a", 1000)


@pytest.mark.parametrize(("cores", "narrow"), [(1, True), (2, True), (4, False)])
def test_what_is_run_beside_others_is_narrow_once_the_cores_are_busy(clock: Time, cores: int, narrow: bool) -> None:
    learning = width.Width(cores)
    for _ in range(1 + width.PATIENCE):
        run(learning, clock, 100, LONG)
    seen: list[bool] = []
    learning.run("a", 100, lambda: seen.append(learning.is_narrow("a", 100)), narrow=False)
    assert seen == [narrow]


def test_cpu_time_is_asked_for_after_a_long_run_only(clock: Time) -> None:
    learning = width.Width(cores=2)
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
    monkeypatch.setattr(width, "NARROW_SECONDS", seconds)
    for _ in range(width.PATIENCE + 2 * width.TRIALS + 3):
        again = model.run(signature.name, INPUTS[name], outputs)
        for output in outputs:
            np.testing.assert_array_equal(again[output], first[output])


def test_what_a_thread_waits_for_counts() -> None:
    watch = Stopwatch()
    time.sleep(0.01)
    assert watch.seconds() >= 0.01


def test_what_a_thread_computes_counts() -> None:
    watch, until = Stopwatch(), time.thread_time() + 0.01
    while time.thread_time() < until:
        pass
    assert watch.seconds() >= 0.009


def test_what_others_compute_for_a_thread_counts() -> None:
    def compute() -> str:
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass
        return threading.current_thread().name

    threads, watch = Elsewhere(1, "others"), Stopwatch()
    name = threads.run(compute)
    threads.close()
    assert name.startswith("others")
    assert watch.cpu_seconds() >= 0.009
    assert Stopwatch().cpu_seconds() < 0.009
