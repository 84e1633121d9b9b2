"""Writes valid SavedModels that TensorFlow's optimiser cannot take, below argv[1]: `NAME/1`. Run as a program.

Most have a plain signature, `serving_default`: b = 2 a, a [-1].

sparse_input    `sparse` has a sparse placeholder as its input
huge_shape      `big` has an input [-1, 100000, 100000]
large_volume    the input is [-1, 1024, 1024, 512, 1]
no_signatures   no signature at all
echo            y = x, the same tensor
tapped          an input in the middle of the graph; the other inputs are needed only before it
two_ranks       x [-1, 1]; `serving_default` takes x of any rank, `z` does not
misdeclared     `dtypes` and `names` declare dtypes and tensor names other than the graph's; `twice` has two inputs that
                are one tensor; `passed` returns an input, whatever the rank of the other
shared_input    the input of any rank goes through a convolution in one signature and is averaged in the other
no_value        `odd` reads a variable that was never initialised
bad_text        t [-1], strings; the operator's error message quotes the string, which may not be valid UTF-8
vocabulary      a table whose words are in a file, and that a variable names
wrong_names     `odd` names tensors that are not in the graph, and a wrong dtype
ragged_output   `odd` returns a ragged tensor
sparse_output   `odd` returns a sparse tensor
dense           seven layers, 90 MB: its weights are mapped. `half` casts bfloat16 weights (8 MB)
dense_tf1       the same layers in reference variables; `tapped` has the last of them as its input
"""

# TensorFlow has no types: its base classes and decorators are Any.
# mypy: disable-error-code="misc,untyped-decorator"

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.lean_tensorflow import tf, tf1  # first, because it imports TensorFlow without Keras

# isort: split
from tensorflow.core.framework import types_pb2

build_info = tf1.saved_model.utils.build_tensor_info
Signatures = dict[str, Any]
SIZES = (784, 2048, 2048, 2048, 2048, 2560, 10)


def signature(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    return tf1.saved_model.signature_def_utils.build_signature_def(
        {name: build_info(tensor) for name, tensor in inputs.items()},
        {name: build_info(tensor) for name, tensor in outputs.items()},
        "tensorflow/serving/predict",
    )


def plain() -> Any:
    a = tf1.placeholder(tf.float32, [None], "a")
    return signature({"a": a}, {"b": a * 2})


def sparse_input() -> Signatures:
    x = tf1.sparse_placeholder(tf.float32, [None, 5], "x")
    return {"serving_default": plain(), "sparse": signature({"x": x}, {"y": tf.sparse.reduce_sum(x, 1)})}


def huge_shape() -> Signatures:
    x = tf1.placeholder(tf.float32, [None, 100000, 100000], "x")
    return {"serving_default": plain(), "big": signature({"x": x}, {"y": tf.reduce_sum(x)})}


def large_volume() -> Signatures:
    x = tf1.placeholder(tf.float32, [None, 1024, 1024, 512, 1], "x")
    return {"serving_default": signature({"x": x}, {"y": tf.reduce_mean(x, [1, 2, 3, 4])})}


def no_signatures() -> Signatures:
    tf1.get_variable("v", initializer=1.0)
    return {}


def echo() -> Signatures:
    x = tf1.placeholder(tf.float32, [None], "x")
    return {"serving_default": signature({"x": x}, {"y": x})}


def tapped() -> Signatures:
    height, width = tf1.placeholder(tf.int32), tf1.placeholder(tf.int32)
    flat = tf1.placeholder(tf.float32, [None])
    images = tf.identity(tf.reshape(flat, (1, height, width, 3)), name="images")
    weight = tf1.get_variable("w", initializer=2.0)
    inputs = {"images": images, "height": height, "width": width}
    return {"predict_images": signature(inputs, {"map": tf.reduce_sum(images * weight, 3)})}


def two_ranks() -> Signatures:
    x = tf1.placeholder(tf.float32, [None, 1], "x")
    return {
        "serving_default": signature({"x": x}, {"y": x + 2}),
        "z": signature({"x": x}, {"z": tf.concat([x, x], 1)}),
    }


def misdeclared() -> Signatures:
    x, y = tf1.placeholder(tf.float32, [None, 1], "x"), tf1.placeholder(tf.float32, [None], "y")
    dtypes = signature({"x": x}, {"z": x * 3})
    names = signature({"x": x}, {"top": tf.math.top_k(x)[1]})
    dtypes.inputs["x"].dtype, dtypes.outputs["z"].dtype = tf.float64.as_datatype_enum, tf.int32.as_datatype_enum
    names.inputs["x"].name, names.inputs["x"].dtype = "x", types_pb2.DT_FLOAT_REF
    return {
        "dtypes": dtypes,
        "names": names,
        "twice": signature({"a": x, "b": x}, {"z": tf.debugging.check_numerics(x + 1, "z")}),
        "passed": signature({"x": x, "y": y}, {"x": x}),
    }


def shared_input() -> Signatures:
    x = tf1.placeholder(tf.float32, None, "x")
    convolved = tf.nn.conv2d(x, tf.ones([1, 1, 1, 1]), 1, "SAME")
    return {"convolve": signature({"x": x}, {"y": convolved}), "mean": signature({"x": x}, {"y": tf.reduce_mean(x)})}


def no_value() -> Signatures:
    variables = [
        tf1.Variable([1.0], collections=["other"], use_resource=use_resource, name="v")
        for use_resource in (False, True)
    ]
    return {"serving_default": plain(), "odd": signature({}, {"b": variables[0] + variables[1]})}


def bad_text() -> Signatures:
    t = tf1.placeholder(tf.string, [None], "t")
    return {"serving_default": signature({"t": t}, {"n": tf.strings.to_number(t)})}


def wrong_names() -> Signatures:
    odd = plain()
    odd.inputs["a"].name = "there_is_no_such_tensor:0"
    odd.outputs["b"].dtype = tf.string.as_datatype_enum
    return {"serving_default": plain(), "odd": odd}


def dense_tf1() -> Signatures:
    x = y = tf1.placeholder(tf.float32, [None, SIZES[0]], "x")
    for number, (rows, columns) in enumerate(pairwise(SIZES)):
        initial = tf.random.stateless_normal([rows, columns], [number, 1]) / rows**0.5
        weight = tf1.get_variable(f"w{number}", initializer=initial, use_resource=False)
        y = tf.nn.relu(y @ weight)
    tapped = signature({"w": weight.value()}, {"y": weight + 1})
    return {"serving_default": signature({"x": x}, {"y": y}), "tapped": tapped}


class Composite(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "a")])
    def plain(self, a: Any) -> Any:
        return {"b": a * 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "flat"), tf.TensorSpec([None], tf.int64, "splits")])
    def ragged(self, flat: Any, splits: Any) -> Any:
        return {"r": tf.RaggedTensor.from_row_splits(flat, splits)}

    @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.float32, "x")])
    def sparse(self, x: Any) -> Any:
        return {"s": tf.sparse.from_dense(x)}


class Vocabulary(tf.Module):
    def __init__(self, file: Path) -> None:
        file.write_text("a\nb\n")
        words = tf.lookup.TextFileInitializer(
            str(file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticVocabularyTable(words, 1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def find(self, words: Any) -> Any:
        return {"numbers": self.table.lookup(words)}


class Dense(tf.Module):
    def __init__(self) -> None:
        pairs = [*pairwise(SIZES)]
        self.weights = [
            tf.Variable(tf.random.stateless_normal(pair, [number, 1]) / pair[0] ** 0.5)
            for number, pair in enumerate(pairs)
        ]
        self.half_weight = tf.Variable(tf.cast(self.weights[1], tf.bfloat16))

    @tf.function(input_signature=[tf.TensorSpec([None, SIZES[0]], tf.float32, "x")])
    def run(self, x: Any) -> Any:
        for weight in self.weights:
            x = tf.nn.relu(x @ weight)
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None, SIZES[1]], tf.float32, "x")])
    def half(self, x: Any) -> Any:
        return {"y": x @ tf.transpose(tf.cast(self.half_weight, tf.float32))}


def write(folder: Path, build: Callable[[], Signatures]) -> None:
    with tf.Graph().as_default(), tf1.Session() as session:
        signatures = build()
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(str(folder / build.__name__ / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()


def main(folder: Path) -> None:
    for build in (
        sparse_input, huge_shape, large_volume, no_signatures, echo, tapped, two_ranks, misdeclared, shared_input,
        no_value, bad_text, wrong_names, dense_tf1,
    ):  # fmt: skip
        write(folder, build)
    model = Composite()
    for kind in ("ragged", "sparse"):
        signatures = {"serving_default": model.plain, "odd": getattr(model, kind)}
        tf.saved_model.save(model, str(folder / f"{kind}_output" / "1"), signatures)
    vocabulary = Vocabulary(folder / "words.txt")
    tf.saved_model.save(vocabulary, str(folder / "vocabulary" / "1"), {"serving_default": vocabulary.find})
    dense = Dense()
    tf.saved_model.save(dense, str(folder / "dense" / "1"), {"serving_default": dense.run, "half": dense.half})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
