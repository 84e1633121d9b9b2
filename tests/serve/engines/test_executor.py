"""Small programs without control flow run on TensorFlow's single-threaded executor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serve.config import Config
from serve.engines import load
from serve.errors import Code, ServeError


def branch(x: Any) -> Any:
    with tf.compat.v1.variable_scope("old"):
        return tf.compat.v1.cond(tf.reduce_sum(x) > 0, lambda: x, lambda: -x)


def called(x: Any) -> Any:
    return tf.map_fn(lambda row: row * 2, x)


def table(x: Any) -> Any:
    reference = tf.raw_ops.HashTable(key_dtype=tf.string, value_dtype=tf.float32)
    return x + tf.raw_ops.LookupTableFind(table_handle=reference, keys=["a"], default_value=1.0)


@pytest.mark.parametrize(
    ("make", "straight"),
    [(lambda x: tf.nn.relu(x) + 1.0, True), (branch, False), (called, False), (table, False)],
    ids=["operators", "branch", "function", "reference"],
)
def test_programs_without_control_flow_calls_and_references_qualify(make: Any, straight: bool) -> None:
    from serve.engines.tensorflow_graph import is_straight

    with tf.compat.v1.Graph().as_default() as graph:
        make(tf.compat.v1.placeholder(tf.float32, [None]))
        assert is_straight(graph.as_graph_def()) is straight


def test_an_error_names_the_operator(served_models: Path) -> None:
    model = load(served_models / "image" / "1", Config())
    signature = model.signatures["serving_default"]
    try:
        for size in (8, 9):
            inputs = {"x": np.ones((1, size, 8, 4), np.float32)}
            with pytest.raises(ServeError, match=r"\{\{node ") as raised:
                model.run(signature.name, inputs, list(signature.outputs))
            assert raised.value.code is Code.INVALID_ARGUMENT
    finally:
        model.close()
