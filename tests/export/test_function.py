"""Python functions and TensorFlow modules are exported as SavedModels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.command_line import tfx_export
from tests.support.loaders import run_in_session, run_loaded
from tfx_export import export_function
from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.job import Extras

UNVERIFIED = Extras(verify=False)
X = np.array([[1, 2], [3, 4]], np.float32)


class Scaler(tf.Module):  # type: ignore[misc]
    """A module with a variable and a table."""

    def __init__(self) -> None:
        self.factor = tf.Variable([2.0, 3.0])
        content = tf.lookup.KeyValueTensorInitializer(tf.constant([2, 6], tf.int64), tf.constant(["two", "six"]))
        self.names = tf.lookup.StaticHashTable(content, "?")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> Any:
        scaled = x * self.factor
        return {"scaled": scaled, "name": self.names.lookup(tf.cast(scaled[:, 0], tf.int64))}


def sum_and_product(a: Any, b: Any) -> Any:
    return a + b, a * b


def test_a_module_with_a_variable_and_a_table_is_exported(tmp_path: Path) -> None:
    exported = export_function(Scaler(), tmp_path, extras=UNVERIFIED)
    for run in (run_in_session, run_loaded):
        answer = run(exported.path, {"x": X})
        np.testing.assert_array_equal(answer["scaled"], X * [2, 3])
        assert answer["name"].tolist() == [b"two", b"six"]


def test_a_callable_is_exported_with_given_inputs(tmp_path: Path) -> None:
    specs = {name: tf.TensorSpec([None, 2], tf.float32) for name in "ab"}
    exported = export_function(sum_and_product, tmp_path, inputs=specs, extras=UNVERIFIED)
    answer = run_in_session(exported.path, {"a": X, "b": X})
    np.testing.assert_array_equal(answer["output"], X + X)
    np.testing.assert_array_equal(answer["output_1"], X * X)


def test_a_function_can_be_given_as_module_and_attribute_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("def double(x):\n    return {'y': 2 * x}\n")
    monkeypatch.chdir(tmp_path)
    tfx_export("function", "mine:double", "--out", "served", "--input", "x=float32[?,2]", "--no-verify")
    np.testing.assert_array_equal(run_in_session(tmp_path / "served" / "1", {"x": X})["y"], 2 * X)


def nest(pair: Any, scale: Any) -> Any:
    return {"all": {"sum": pair["a"] + pair["b"], "parts": [pair["a"], pair["b"]]}, "scaled": pair["a"] * scale}


def test_nested_inputs_and_outputs_are_named_by_their_path(tmp_path: Path) -> None:
    number = tf.TensorSpec([None], tf.float32)
    inputs = {"pair": {"a": number, "b": number}, "scale": tf.TensorSpec([], tf.float32)}
    exported = export_function(nest, tmp_path, inputs=inputs, extras=UNVERIFIED)
    given = {
        "pair_a": np.array([1, 2], np.float32),
        "pair_b": np.array([3, 4], np.float32),
        "scale": np.array(2, np.float32),
    }
    want = {"all_sum": [4, 6], "all_parts_0": [1, 2], "all_parts_1": [3, 4], "scaled": [2, 4]}
    for run in (run_in_session, run_loaded):
        assert {name: value.tolist() for name, value in run(exported.path, given).items()} == want


@tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.float32), tf.SparseTensorSpec([None, 4])])  # type: ignore[untyped-decorator]
def composites(r: Any, s: Any) -> Any:
    return {"total": tf.reduce_sum(r, 1), "dense": tf.sparse.to_dense(s), "twice": r * 2.0, "half": s / 2.0}


def test_ragged_and_sparse_tensors_become_several_inputs_and_outputs(tmp_path: Path) -> None:
    exported = export_function(composites, tmp_path, extras=UNVERIFIED)
    given = {
        "r_values": np.array([1, 2, 3], np.float32),
        "r_row_splits": np.array([0, 1, 3]),
        "s_indices": np.array([[0, 1], [1, 3]]),
        "s_values": np.array([2, 4], np.float32),
        "s_shape": np.array([2, 4]),
    }
    answer = run_in_session(exported.path, given)
    assert answer["total"].tolist() == [1, 5]
    assert answer["dense"].tolist() == [[0, 2, 0, 0], [0, 0, 0, 4]]
    assert (answer["twice_values"].tolist(), answer["twice_row_splits"].tolist()) == ([2, 4, 6], [0, 1, 3])
    assert (answer["half_indices"].tolist(), answer["half_values"].tolist()) == ([[0, 1], [1, 3]], [1, 2])


class Silent(tf.Module):  # type: ignore[misc]
    """A module with a function that cannot be called itself."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])  # type: ignore[untyped-decorator]
    def predict(self, x: Any) -> Any:
        return x


def test_the_error_for_a_module_that_cannot_be_called_lists_its_functions(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no __call__\.\nName one of its functions: predict"):
        export_function(Silent(), tmp_path)


def test_a_function_without_a_signature_needs_inputs(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="input_signature"):
        export_function(sum_and_product, tmp_path)


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ("no colon", SpecError, "module:attribute"),
        ("no_such_module:f", SourceError, "no module 'no_such_module'"),
        ("tests.export.test_function:g", SourceError, "has no 'g'"),
        ("tests.export.test_function:X", SourceError, "cannot be called"),
    ],
)
def test_an_invalid_reference_is_refused(tmp_path: Path, reference: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        export_function(reference, tmp_path)
