"""Writes the models that server tests serve, below argv[1]: `NAME/VERSION`. A program, because it imports TensorFlow.

half_plus_two   TF2, resource variables        y = x / 2 + 2, x [-1, 1]; also `vector` of x [-1]
plus            versions 1 to 4, accelerated   y = x + VERSION, x [-1]; its servers start without TensorFlow
half            accelerated                    y = x / 2 + 2, x [-1]; its servers start without TensorFlow
counter         TF2, assigns in its signature  n += by, n is returned
words           TF1, ref variables, an asset vocabulary, legacy_init_op, written as text; Predict on strings,
                Classify and Regress on tf.Example
image           TF2, a convolution of x [-1, 8, 8, 3]
hidden          TF2, convolutions where static shape inference does not see them: `loop`, `branch`, `reshaped`
slow            accelerated, busy for `loops` turns, see slow_model.py; its servers start without TensorFlow
defaulted       y = x * scale, scale has a default
pictures        Predict on encoded images, `serving_default`, and on tf.Examples, `measure`
"""

# TensorFlow has no types: its base classes and decorators are Any.
# mypy: disable-error-code="misc,untyped-decorator"

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.lean_tensorflow import tf, tf1
from tfx_export.exporting.job import Extras
from tfx_export.exporting.pipeline import complete_version


class HalfPlusTwo(tf.Module):
    def __init__(self) -> None:
        self.half = tf.Variable(0.5)
        self.two = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def matrix(self, x: Any) -> Any:
        return {"y": x * self.half + self.two}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def vector(self, x: Any) -> Any:
        return {"y": x * self.half + self.two, "x2": x * 2.0}


class Counter(tf.Module):
    def __init__(self) -> None:
        self.n = tf.Variable(0)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, "by")])
    def count(self, by: Any) -> Any:
        return {"n": self.n.assign_add(by)}


class Image(tf.Module):
    def __init__(self) -> None:
        self.kernel = tf.Variable(tf.ones([3, 3, 3, 4]) / 27.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "x")])
    def convolve(self, x: Any) -> Any:
        return {"y": tf.nn.relu(tf.nn.conv2d(x, self.kernel, 1, "SAME"))}


class Hidden(Image):
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "x")])
    def loop(self, x: Any) -> Any:
        mean = self.kernel[..., :3]
        smooth = tf.while_loop(lambda y: True, lambda y: tf.nn.conv2d(y, mean, 1, "SAME"), [x], maximum_iterations=2)
        return {"y": smooth[0]}

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "x")])
    def branch(self, x: Any) -> Any:
        positive = tf.reduce_sum(x) > 0
        pooled = tf.cond(positive, lambda: tf.nn.max_pool2d(x, 2, 1, "SAME"), lambda: self.convolve(x)["y"][..., :3])
        return {"y": pooled}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x"), tf.TensorSpec([None], tf.int32, "shape")])
    def reshaped(self, x: Any, shape: Any) -> Any:
        return {"y": tf.nn.conv2d(tf.reshape(x, shape), self.kernel, 1, "SAME")}


def session_model(folder: Path, inputs: dict[str, Any], outputs: dict[str, Any], **options: Any) -> None:
    """Saves the default graph as a SavedModel with one Predict signature and those in `signatures`."""
    as_text = options.pop("as_text", False)
    signatures = options.pop("signatures", {})
    defaults = options.pop("defaults", {})
    predict = tf1.saved_model.predict_signature_def(inputs, outputs)
    for name, value in defaults.items():
        predict.defaults[name].CopyFrom(tf.make_tensor_proto(value))
    with tf1.Session() as session:
        session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
        builder = tf1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": predict, **signatures}, **options)
        builder.save(as_text=as_text)


def plus(folder: Path, version: int) -> None:
    with tf1.Graph().as_default():
        x = tf1.placeholder(tf.float32, [None], "x")
        amount = tf1.get_variable("amount", initializer=float(version), use_resource=True)
        session_model(folder, {"x": x}, {"y": tf.add(x, amount)})
    accelerate(folder)


def half(folder: Path) -> None:
    with tf1.Graph().as_default():
        x = tf1.placeholder(tf.float32, [None], "x")
        two = tf1.get_variable("two", initializer=2.0, use_resource=True)
        session_model(folder, {"x": x}, {"y": x / 2.0 + two})
    accelerate(folder)


def accelerate(folder: Path) -> None:
    """Adds a model.tflite."""
    extras = Extras(verify=False, accelerate="float32")
    complete_version(folder, extras, lambda *_: {}, tags=["serve"], source=None, spec={}, report=lambda step: None)


def words(folder: Path) -> None:
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_text("apple\nbanana\ncherry\n")
    with tf1.Graph().as_default():
        file = tf.constant(str(vocabulary))
        tf1.add_to_collection(tf1.GraphKeys.ASSET_FILEPATHS, file)
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            ),
            -1,
        )
        price = tf1.get_variable("price", initializer=tf.constant([1.0, 2.0, 3.0, 0.0]), use_resource=False)
        word = tf1.placeholder(tf.string, [None], "word")

        def priced(names: Any) -> Any:
            return tf.gather(price, table.lookup(names) % 4)

        serialized = tf1.placeholder(tf.string, [None], "serialized")
        features = tf1.io.parse_example(
            serialized,
            {"word": tf1.FixedLenFeature([], tf.string), "times": tf1.FixedLenFeature([], tf.float32, 1.0)},
        )
        value = priced(features["word"]) * features["times"]
        scores = tf.stack([value, 1.0 - value], axis=1)
        classes = tf.tile([["dear", "cheap"]], [tf.shape(value)[0], 1])
        signatures = {
            "classify": tf1.saved_model.classification_signature_def(serialized, classes, scores),
            "regress": tf1.saved_model.regression_signature_def(serialized, value),
        }
        session_model(
            folder / "words" / "1",
            {"word": word},
            {"price": priced(word), "length": tf.strings.length(word), "echo_bytes": tf.identity(word)},
            signatures=signatures,
            as_text=True,
            legacy_init_op=tf1.tables_initializer(),
            assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
        )
    vocabulary.unlink()


def slow(folder: Path) -> None:
    with tf1.Graph().as_default():
        loops = tf1.placeholder(tf.int32, [], "loops")
        start = tf1.get_variable("start", initializer=0.0, use_resource=True)
        _, total = tf1.while_loop(
            lambda turn, total: turn < loops,
            lambda turn, total: (turn + 1, total + tf.sin(tf.cast(turn, tf.float32))),
            (0, start.read_value()),
        )
        session_model(folder / "slow" / "1", {"loops": loops}, {"total": total})
    accelerate(folder / "slow" / "1")


def defaulted(folder: Path) -> None:
    with tf1.Graph().as_default():
        x = tf1.placeholder(tf.float32, [None], "x")
        scale = tf1.placeholder(tf.float32, [], "scale")
        session_model(folder / "defaulted" / "1", {"x": x, "scale": scale}, {"y": x * scale}, defaults={"scale": 3.0})


def pictures(folder: Path) -> None:
    with tf1.Graph().as_default():
        encoded = tf1.placeholder(tf.string, [None], "encoded")
        brightness = tf.map_fn(
            lambda file: tf.reduce_mean(tf.cast(tf.io.decode_image(file, 3, expand_animations=False), tf.float32)),
            encoded,
            fn_output_signature=tf.float32,
        )
        serialized = tf1.placeholder(tf.string, [None], "serialized")
        features = tf1.io.parse_example(
            serialized,
            {"sizes": tf1.FixedLenFeature([3], tf.float32), "count": tf1.FixedLenFeature([], tf.int64)},
        )
        total = tf.reduce_sum(features["sizes"], 1) + tf.cast(features["count"], tf.float32)
        measure = tf1.saved_model.predict_signature_def({"example": serialized}, {"total": total})
        files, answers = {"image_bytes": encoded}, {"brightness": brightness}
        session_model(folder / "pictures" / "1", files, answers, signatures={"measure": measure})


def main(folder: Path) -> None:
    module = HalfPlusTwo()
    tf.saved_model.save(
        module,
        str(folder / "half_plus_two" / "1"),
        signatures={"serving_default": module.matrix, "vector": module.vector},
    )
    counter = Counter()
    tf.saved_model.save(counter, str(folder / "counter" / "1"), signatures={"serving_default": counter.count})
    image = Image()
    tf.saved_model.save(image, str(folder / "image" / "1"), signatures={"serving_default": image.convolve})
    hidden = Hidden()
    tf.saved_model.save(
        hidden,
        str(folder / "hidden" / "1"),
        signatures={"loop": hidden.loop, "branch": hidden.branch, "reshaped": hidden.reshaped},
    )
    with ThreadPoolExecutor(2) as pool:  # the converter runs in a separate process
        list(pool.map(lambda version: plus(folder / "plus" / str(version), version), range(1, 5)))
    half(folder / "half" / "1")
    words(folder)
    slow(folder)
    defaulted(folder)
    pictures(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
