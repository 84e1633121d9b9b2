"""A small model computes on the thread that asks, or on all of them: its answers are the same."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serve.config import Config
from serve.engines import LoadedModel, load, width
from serve.stopwatch import Stopwatch

INPUTS: dict[str, dict[str, np.ndarray]] = {
    "image": {"x": np.arange(2 * 8 * 8 * 3, dtype=np.float32).reshape(2, 8, 8, 3)},
    "words": {"word": np.array([b"a", b"c", b"?"], np.object_)},
    "counter": {"by": np.array(0, np.int32)},
    "accelerated": {"x": np.ones((3, 12), np.float32)},
}


def test_runs_that_take_long_make_those_as_large_wide() -> None:
    learning = width.Width()
    for _ in range(3 * width.PATIENCE):
        learning.narrow_run("a", 100, width.NARROW_SECONDS * 2)
        learning.narrow_run("a", 100, width.NARROW_SECONDS / 2)
    assert learning.is_narrow("a", 10**9)
    # The first of them was long on the wall's clock only, as far as is known.
    for _ in range(1 + width.PATIENCE):
        learning.narrow_run("a", 100, width.NARROW_SECONDS * 2)
    assert [learning.is_narrow("a", 99), learning.is_narrow("a", 100), learning.is_narrow("b", 100)] == [
        True,
        False,
        True,
    ]


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
    for _ in range(width.PATIENCE + 3):
        again = model.run(signature.name, INPUTS[name], outputs)
        for output in outputs:
            np.testing.assert_array_equal(again[output], first[output])


def test_cpu_time_is_asked_for_after_a_long_run_only() -> None:
    learning = width.Width()
    assert learning.clock("a") is time.perf_counter
    learning.narrow_run("a", 100, width.NARROW_SECONDS * 2)
    assert (learning.clock("a"), learning.clock("b")) == (time.thread_time, time.perf_counter)
    learning.narrow_run("a", 100, width.NARROW_SECONDS / 2)
    assert learning.clock("a") is time.perf_counter


def test_what_a_thread_waits_for_counts() -> None:
    watch = Stopwatch()
    time.sleep(0.01)
    assert watch.seconds() >= 0.01


def test_what_a_thread_computes_counts() -> None:
    watch, until = Stopwatch(), time.thread_time() + 0.01
    while time.thread_time() < until:
        pass
    assert watch.seconds() >= 0.009
