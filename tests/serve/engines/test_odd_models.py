"""Valid models that the optimiser cannot take, or that it optimises for other requests than they get."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.config import Config
from serve.engines import load, preparation
from serve.errors import ServeError
from tests.support.preparation import MEGABYTE

A = {"a": np.array([1.0, 2.0], np.float32)}


@pytest.mark.parametrize(
    ("name", "signature", "inputs", "outputs", "expected"),
    [
        ("misdeclared", "dtypes", {"x": [[2]]}, ["z"], [[6]]),
        ("misdeclared", "names", {"x": [[2]]}, ["top"], [[0]]),
        ("misdeclared", "twice", {"a": [[2]], "b": [[2]]}, ["z"], [[3]]),
        ("misdeclared", "passed", {"x": [[2]], "y": 1}, ["x"], [[2]]),
        ("shared_input", "mean", {"x": [[[[[1, 2], [3, 4]]]]]}, ["y"], 2.5),
        ("shared_input", "mean", {"x": 2}, ["y"], 2),
        ("shared_input", "convolve", {"x": [[[[2]]]]}, ["y"], [[[[2]]]]),
        ("no_value", "serving_default", {"a": [1]}, ["b"], [2]),
        ("dense_tf1", "tapped", {"w": [[1, 2]]}, ["y"], [[2, 3]]),
        ("vocabulary", "serving_default", {"words": ["b", "c"]}, ["numbers"], [1, 2]),
    ],
)
def test_a_request_that_a_session_answers_is_answered(
    name: str, signature: str, inputs: Any, outputs: list[str], expected: Any, odd_models: Path, prepared: Config
) -> None:
    model = load(odd_models / name / "1", prepared)
    assert model.preparation
    assert model.preparation.reason == ""
    arrays = {alias: np.array(value) for alias, value in inputs.items()}
    arrays = {
        alias: array.astype(np.object_ if array.dtype.kind == "U" else np.float32) for alias, array in arrays.items()
    }
    answer = model.run(signature, arrays, outputs)
    assert np.asarray(answer[outputs[0]]).tolist() == expected
    model.close()


@pytest.mark.parametrize("name", ["sparse_input", "huge_shape", "ragged_output", "sparse_output", "wrong_names"])
def test_an_odd_signature_does_not_keep_the_plain_one_from_being_served(
    name: str, odd_models: Path, prepared: Config
) -> None:
    model = load(odd_models / name / "1", prepared)
    assert model.run("serving_default", A, ["b"])["b"].tolist() == [2.0, 4.0]
    model.close()


@pytest.mark.parametrize(
    ("name", "signature", "inputs", "text"),
    [
        ("sparse_input", "sparse", {"x": np.ones(1, np.float32)}, "The input x of signature sparse is a sparse tensor"),
        ("sparse_output", "odd", {"x": np.ones((1, 5), np.float32)}, "The output s of signature odd is a"),
        (
            "ragged_output",
            "odd",
            {"flat": np.ones(1, np.float32), "splits": np.array([0, 1], np.int64)},
            "The output r of signature odd is a composite tensor",
        ),
        ("wrong_names", "odd", A, "there_is_no_such_tensor"),
        ("no_value", "odd", {}, "uninitialized"),
        (
            "misdeclared",
            "twice",
            {"a": np.zeros((1, 1), np.float32), "b": np.ones((1, 1), np.float32)},
            "more than once",
        ),
    ],
)
def test_only_the_odd_signature_is_refused(
    name: str, signature: str, inputs: Any, text: str, odd_models: Path, prepared: Config
) -> None:
    model = load(odd_models / name / "1", prepared)
    with pytest.raises(ServeError, match=text):
        model.run(signature, inputs, [*model.signatures[signature].outputs])
    model.close()


def test_no_signatures(odd_models: Path, prepared: Config) -> None:
    model = load(odd_models / "no_signatures" / "1", prepared)
    assert model.signatures == {}
    model.close()


def test_an_output_that_is_the_input(odd_models: Path, prepared: Config) -> None:
    model = load(odd_models / "echo" / "1", prepared)
    assert model.run("serving_default", {"x": A["a"]}, ["y"])["y"].tolist() == [1.0, 2.0]
    model.close()


def test_a_large_declared_shape_takes_no_memory(odd_models: Path, prepared: Config) -> None:
    config = Config(prepared_dir=prepared.prepared_dir, max_prepare_bytes=1024 * MEGABYTE)
    model = load(odd_models / "large_volume" / "1", config)
    assert preparation.prepare(odd_models / "large_volume" / "1", config, threading.Event()).entry
    x = np.full((2, 1, 1, 1, 1), 3, np.float32)
    assert model.run("serving_default", {"x": x}, ["y"])["y"].tolist() == [3.0, 3.0]
    model.close()


def test_only_what_the_outputs_need_is_asked_about_ranks(odd_models: Path, prepared: Config) -> None:
    model = load(odd_models / "two_ranks" / "1", prepared)
    x = {"x": np.array([1.0, 2.0], np.float32)}
    assert model.run("serving_default", x, ["y"])["y"].tolist() == [3.0, 4.0]
    with pytest.raises(ServeError, match="rank"):
        model.run("z", x, ["z"])
    model.close()


def test_nothing_before_a_fed_tensor_is_asked_about_ranks(odd_models: Path, prepared: Config) -> None:
    model = load(odd_models / "tapped" / "1", prepared)
    one = np.array([2], np.int32)
    inputs = {"images": np.ones((1, 2, 3, 3), np.float32), "height": one, "width": one}
    assert model.run("predict_images", inputs, ["map"])["map"].ravel().tolist() == [6.0] * 6
    model.close()
