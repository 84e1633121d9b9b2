"""Writes SavedModels of many kinds below argv[1], one folder each, for the tests of `show`, `diff`, `scan` and `sig`.

A separate program, because it imports TensorFlow.
"""

# TensorFlow has no types: its base classes and decorators are Any.
# mypy: disable-error-code="misc,untyped-decorator"

import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.lean_tensorflow import tf, tf1

SERIALIZED_EXAMPLE = tf.train.Example(
    features=tf.train.Features(feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0]))})
).SerializeToString()

BUILDERS: list[Callable[[str], None]] = []


def model(build: Callable[[str], None]) -> Callable[[str], None]:
    """Registers a builder; the folder gets the function's name."""
    BUILDERS.append(build)
    return build


def signature(inputs: dict[str, Any], outputs: dict[str, Any], method: str = "predict") -> Any:
    def info(tensors: dict[str, Any]) -> dict[str, Any]:
        return {key: tf1.saved_model.utils.build_tensor_info(tensor) for key, tensor in tensors.items()}

    return tf1.saved_model.signature_def_utils.build_signature_def(
        info(inputs), info(outputs), f"tensorflow/serving/{method}"
    )


@model
def tf1_linear(folder: str) -> None:
    """One signature, one variable, one scalar input."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 3], name="x")
        scale = tf1.placeholder(tf.float32, [], name="scale")
        w = tf1.get_variable("w", initializer=tf.constant([[1.0], [2.0], [3.0]]), use_resource=True)
        y = tf.multiply(tf.matmul(x, w), scale, name="y")
        session.run(tf1.global_variables_initializer())
        signed = signature({"x": x, "scale": scale}, {"y": y})
        signed.defaults["scale"].CopyFrom(tf.make_tensor_proto(1.0))
        builder = tf1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signed})
        builder.save()


@model
def tf1_tag_sets(folder: str) -> None:
    """Three tag sets; classify, regress and predict; an unknown rank, ref variables."""
    builder = tf1.saved_model.Builder(folder)
    for index, tags in enumerate((["serve"], ["serve", "gpu"], ["train"])):
        with tf1.Graph().as_default(), tf1.Session() as session:
            examples = tf1.placeholder(tf.string, [None], name="examples")
            anything = tf1.placeholder(tf.int64, None, name="anything")
            parsed = tf1.io.parse_example(examples, {"x": tf1.FixedLenFeature([2], tf.float32)})["x"]
            w = tf1.get_variable("w", initializer=tf.constant([[1.0], [2.0]]), use_resource=False)
            scores = tf.matmul(parsed, w, name="scores")
            classes = tf.as_string(scores, name="classes")
            same = tf.identity(anything, name="same")
            session.run(tf1.global_variables_initializer())
            signatures = {
                "serving_default": signature({"inputs": examples}, {"classes": classes, "scores": scores}, "classify"),
                "regression": signature({"inputs": examples}, {"outputs": scores}, "regress"),
                "raw": signature({"anything": anything}, {"same": same}),
            }
            if index == 0:
                builder.add_meta_graph_and_variables(session, tags, signatures)
            else:
                builder.add_meta_graph(tags, signatures)
    builder.save()


@model
def tf1_sparse(folder: str) -> None:
    """A sparse and a ragged input, a sparse output, no variable."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        sparse = tf1.sparse_placeholder(tf.float32, [None, 5], name="sparse")
        ragged = tf1.ragged.placeholder(tf.int32, 1, name="ragged")
        dense = tf.sparse.to_dense(sparse, name="dense")
        total = tf.reduce_sum(ragged.to_tensor(), name="total")
        doubled = tf.sparse.map_values(tf.multiply, sparse, 2.0)
        builder = tf1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": signature(
                    {"sparse": sparse, "ragged": ragged}, {"dense": dense, "total": total, "doubled": doubled}
                )
            },
        )
        builder.save()


@model
def tf1_text(folder: str) -> None:
    """saved_model.pbtxt with a vocabulary: main op, asset, tables."""
    vocabulary = Path(folder).with_suffix(".labels.txt")
    vocabulary.write_text("cat\ndog\n")
    with tf1.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.int64, [None], name="x")
        asset = tf.constant(str(vocabulary), name="labels_file")
        tf1.add_to_collection(tf1.GraphKeys.ASSET_FILEPATHS, asset)
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                asset, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE
            ),
            "?",
        )
        label = tf.identity(table.lookup(x), name="label")
        session.run(tf1.tables_initializer())
        builder = tf1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"labels": signature({"x": x}, {"label": label})},
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
            main_op=tf1.tables_initializer(),
        )
        builder.save(as_text=True)


@model
def tf1_partitioned(folder: str) -> None:
    """A variable in two partitions, and one variable of each rare dtype."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        x = tf1.placeholder(tf.float32, [None, 4], name="x")
        partitioner = tf1.fixed_size_partitioner(2)
        w = tf1.get_variable("w", initializer=tf.ones([4, 1]), partitioner=partitioner, use_resource=False)
        for dtype in (tf.bfloat16, tf.half, tf.double, tf.int8, tf.bool, tf.complex64):
            tf1.get_variable(dtype.name, initializer=tf.cast(tf.constant([0, 1, 2]), dtype), use_resource=True)
        tf1.get_variable("text", initializer=tf.constant(["a", "bc"]), use_resource=True)
        y = tf.matmul(x, tf.convert_to_tensor(w), name="y")
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature({"x": x}, {"y": y})})
        builder.save()


@model
def tf1_unsafe(folder: str) -> None:
    """Reads files, calls Python, and has NaN and infinite weights and a NaN constant."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        name = tf1.placeholder(tf.string, [], name="name")
        bad = tf1.get_variable("bad", initializer=tf.constant([1.0, float("nan"), float("inf"), float("nan")]))
        tf1.get_variable("half", initializer=tf.constant([float("-inf"), 0.0], tf.bfloat16), use_resource=True)
        tf1.get_variable("good", initializer=tf.constant([1.0]), use_resource=True)
        constant = tf.constant([float("nan"), 1.0, float("inf")], name="constant")
        read = tf.io.read_file(name)

        @tf.function
        def inside(value: Any) -> Any:
            return tf1.py_func(lambda array: array, [value], tf.float32)

        y = tf.add(tf.reduce_sum(inside(bad)), tf.reduce_sum(constant), name="y")
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(folder)
        outputs = {"y": y, "content": read}
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature({"name": name}, outputs)}
        )
        builder.save()


Point = namedtuple("Point", ["x", "y"])


class Polymorphic(tf.Module):
    """Functions of many kinds of argument: tensors, Python values, nests, composites, several traces."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable([[1.0], [2.0], [3.0]], name="w")

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def predict(self, x: Any) -> Any:
        return {"y": x @ self.w}

    @tf.function
    def options(self, x: Any, training: bool = False, name: str = "a", *, mask: Any = None) -> Any:
        return x * (2.0 if training else 1.0)

    @tf.function
    def nested(self, pair: Any, named: Any) -> Any:
        return pair[0] + named["a"]

    @tf.function
    def point(self, point: Any) -> Any:
        return point.x + point.y

    @tf.function
    def composite(self, ragged: Any, sparse: Any, scale: float) -> Any:
        return ragged.to_tensor(), tf.sparse.to_dense(sparse) * scale


def traced() -> Polymorphic:
    module = Polymorphic()
    x = tf.TensorSpec([None, 3], tf.float32)
    module.options.get_concrete_function(x, True)
    module.options.get_concrete_function(x, False, "b")
    module.options.get_concrete_function(tf.TensorSpec(None, tf.float32, name="any"), mask=tf.TensorSpec([], tf.bool))
    spec = tf.TensorSpec([2], tf.float32)
    module.nested.get_concrete_function((spec, spec), {"a": spec, "b": [spec, 3]})
    module.point.get_concrete_function(Point(spec, tf.TensorSpec(None, tf.float32)))
    module.composite.get_concrete_function(
        tf.RaggedTensorSpec([None, None], tf.int32), tf.SparseTensorSpec([None, 4], tf.float32), 0.5
    )
    return module


@model
def tf2_polymorphic(folder: str) -> None:
    """A tf.Module with polymorphic functions and two signatures."""
    module = traced()
    tf.saved_model.save(
        module,
        folder,
        signatures={
            "serving_default": module.predict,
            "any": module.options.get_concrete_function(tf.TensorSpec(None, tf.float32, name="any")),
        },
    )


@model
def tf2_without_variables(folder: str) -> None:
    """TensorFlow writes a variables folder for it, in which only the object graph is stored."""
    tf.saved_model.save(tf.Module(), folder)


@model
def tf2_unsigned(folder: str) -> None:
    """No signature of the user, only __saved_model_init_op."""
    tf.saved_model.save(Polymorphic(), folder)


@model
def tf2_bare(folder: str) -> None:
    """Concrete functions as attributes, a child module with a function."""
    module = tf.Module()
    module.child = traced()
    module.bare = module.child.predict.get_concrete_function()
    module.untraced = tf.function(lambda x: x)
    tf.saved_model.save(module, folder, signatures=module.bare)


@model
def tf2_scalars(folder: str) -> None:
    """Scalars and many dtypes, several outputs."""
    module = tf.Module()
    dtypes = (tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.int8, tf.uint8, tf.int64, tf.bool, tf.string)
    specs = [tf.TensorSpec([], dtype, name=f"x_{dtype.name}") for dtype in dtypes]

    @tf.function(input_signature=specs)
    def echo(*values: Any) -> Any:
        return {f"y_{value.dtype.name}": tf.identity(value) for value in values}

    module.echo = echo
    tf.saved_model.save(module, folder, signatures=echo)


def two_inputs(keras: Any) -> Any:
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    hidden = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(keras.layers.Dense(5, "tanh")(joined)))
    outputs = {"score": keras.layers.Dense(2, name="score")(hidden), "flag": keras.layers.Dense(1, name="flag")(hidden)}
    return keras.Model({"left": left, "right": right}, outputs)


@model
def keras3_export(folder: str) -> None:
    """A SavedModel from `model.export` of Keras 3."""
    import keras

    two_inputs(keras).export(folder, verbose=False)


@model
def keras3_sequential(folder: str) -> None:
    """A Sequential convolution network with unknown height and width."""
    import keras

    keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()]
    ).export(folder, verbose=False)


@model
def keras2_saved(folder: str) -> None:
    """A SavedModel from tf_keras, with the whole Keras object in it."""
    import tf_keras

    saved = two_inputs(tf_keras)
    saved.compile("adam", "mse")
    saved.save(folder)


@model
def keras2_lstm(folder: str) -> None:
    """Loops and nested functions."""
    import tf_keras

    tf_keras.Sequential([tf_keras.layers.LSTM(3, input_shape=(None, 2)), tf_keras.layers.Dense(1)]).save(folder)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    only = set(sys.argv[2:])
    for build in BUILDERS:
        if not only or build.__name__ in only:
            build(str(target / build.__name__))
