"""Calls every signature of the SavedModels argv[1:] in a session and with tf.saved_model.load; prints JSON.

{folder: {"session": {signature: {output: values}}, "load": {...}}}. An input is filled with a number that depends only
on its shape and dtype, so that outputs can be compared when inputs have other names.
"""

import json
import sys
from typing import Any

import numpy as np

from tests.support.build_saved_models import SERIALIZED_EXAMPLE
from tests.support.lean_tensorflow import tf

Answers = dict[str, dict[str, Any]]


def probe(shape: Any, dtype: Any) -> np.ndarray:
    dims = [2 if dim is None else dim for dim in (shape.as_list() if shape.rank is not None else [2])]
    if dtype == tf.string:
        return np.full(dims, SERIALIZED_EXAMPLE, object)
    return np.full(dims, 1 if dtype.is_integer else 0.25 * (1 + sum(dims)), dtype.as_numpy_dtype)


def plain(value: Any) -> Any:
    array = np.asarray(value)
    return [item.decode() for item in array.ravel()] if array.dtype == object else array.astype(float).tolist()


def by_session(folder: str) -> Answers:
    v1 = tf.compat.v1
    answers = {}
    with v1.Session(graph=tf.Graph()) as session:
        for name, signature in v1.saved_model.load(session, ["serve"], folder).signature_def.items():
            if name.startswith("__"):
                continue
            feeds = {
                info.name: probe(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype))
                for info in signature.inputs.values()
            }
            outputs = session.run({key: info.name for key, info in signature.outputs.items()}, feeds)
            answers[name] = {key: plain(value) for key, value in outputs.items()}
    return answers


def by_load(folder: str) -> Answers:
    answers = {}
    for name, function in tf.saved_model.load(folder, tags=["serve"]).signatures.items():
        _, specs = function.structured_input_signature
        feeds = {key: tf.constant(probe(spec.shape, spec.dtype)) for key, spec in specs.items()}
        answers[name] = {key: plain(value.numpy()) for key, value in function(**feeds).items()}
    return answers


if __name__ == "__main__":
    folders = sys.argv[1:]
    json.dump({folder: {"session": by_session(folder), "load": by_load(folder)} for folder in folders}, sys.stdout)
