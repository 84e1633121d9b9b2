"""Typical TF1 training graphs: placeholders, a keep probability for dropout, a loss, an optimizer, a saver."""

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4) / 12


@contextmanager
def session() -> Any:
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as opened:
        yield opened


def classifier(*, use_resource: bool, vocabulary: Path | None = None) -> Any:
    """Builds dropout, a dense layer, softmax, and with `vocabulary` a label for the best class. Returns the train op.

    Inputs x:0 [?, 4], labels:0, keep_prob:0; outputs softmax:0 and label/LookupTableFindV2:0, from the table.
    """
    x = v1.placeholder(tf.float32, [None, 4], "x")
    y = v1.placeholder(tf.int64, [None], "labels")
    keep = v1.placeholder(tf.float32, [], "keep_prob")
    with v1.variable_scope("dense", use_resource=use_resource):
        w = v1.get_variable("w", [4, 3], initializer=v1.random_normal_initializer(seed=1))
        b = v1.get_variable("b", [3], initializer=v1.random_normal_initializer(seed=2))
    logits = tf.matmul(tf.nn.dropout(x, rate=1 - keep), w) + b
    scores = tf.nn.softmax(logits, name="softmax")
    if vocabulary:
        content = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
        )
        tf.lookup.StaticHashTable(content, "?").lookup(tf.argmax(scores, 1), name="label")
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    return v1.train.AdamOptimizer().minimize(loss)


def segmenter() -> None:
    """Inputs images [?, ?, ?, 3] (uint8), height [], width []; output segmentation_map, one class per pixel."""
    images = v1.placeholder(tf.uint8, [None, None, None, 3], "images")
    height, width = v1.placeholder(tf.int32, [], "height"), v1.placeholder(tf.int32, [], "width")
    kernel = v1.get_variable("kernel", [3, 3, 3, 4], initializer=v1.random_normal_initializer(seed=3))
    hidden = tf.nn.conv2d(tf.cast(images, tf.float32) / 255, kernel, 2, "SAME")
    resized = tf.image.resize(hidden, tf.stack([height, width]))
    tf.identity(tf.argmax(resized, 3), name="segmentation_map")


TAPPED = {"images": "images:0", "height": "height:0", "width": "width:0"}


def tapped_segmenter() -> None:
    """A network like that of the public DeepLab walk-through: clients send `images`, a tensor behind a reshape.

    Inputs images [1, ?, ?, 3] (uint8), and height and width of any shape, which nothing needs once images is fed;
    output segmentation_map, one class per pixel.
    """
    height, width = v1.placeholder(tf.int32, name="height"), v1.placeholder(tf.int32, name="width")
    pixels = v1.placeholder(tf.uint8, [None], "pixels")
    images = tf.identity(tf.reshape(pixels, (1, height, width, 3)), name="images")
    kernel = v1.get_variable("kernel", [3, 3, 3, 4], initializer=v1.random_normal_initializer(seed=3))
    hidden = tf.nn.conv2d(tf.cast(images, tf.float32) / 255, kernel, 2, "SAME")
    tf.argmax(tf.image.resize(hidden, tf.shape(images)[1:3]), 3, name="segmentation_map")


def save_with_builder(folder: Path, build: Callable[[], Any], inputs: dict[str, str], outputs: dict[str, str]) -> Path:
    """Writes the graph that `build` makes with TensorFlow's own SavedModelBuilder."""
    with session() as opened:
        build()
        initialise(opened)
        named = [{key: opened.graph.get_tensor_by_name(name) for key, name in one.items()} for one in (inputs, outputs)]
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def(*named)
        builder.add_meta_graph_and_variables(opened, ["serve"], {"serving_default": signature})
        builder.save(as_text=True)
    return folder


def save_labels(folder: Path, vocabulary: Path, *, init: str) -> Path:
    """Saves a SavedModel that returns a label from `vocabulary`, or "?", for each x [?] (int64).

    `init`: the op that fills its table when it is loaded: `main_op`, `legacy_init_op`, or that of `tf2`.
    """

    def labels() -> Any:
        whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        content = tf.lookup.TextFileInitializer(str(vocabulary), tf.int64, number, tf.string, whole)
        return tf.lookup.StaticHashTable(content, "?")

    if init == "tf2":
        module = tf.Module()
        module.table = labels()
        spec = tf.TensorSpec([None], tf.int64, "x")
        module.label = tf.function(lambda x: {"label": module.table.lookup(x)}, [spec])
        tf.saved_model.save(module, str(folder), signatures=module.label)
        return folder
    with session() as opened:
        x = v1.placeholder(tf.int64, [None], "x")
        info = {"x": x}, {"label": tf.identity(labels().lookup(x), "label")}
        initialise(opened)
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            opened,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def(*info)},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            **{init: v1.tables_initializer()},
        )
        builder.save()
    return folder


def initialise(opened: Any) -> None:
    opened.run([v1.global_variables_initializer(), v1.tables_initializer()])


def save_checkpoint(folder: Path, build: Callable[[], Any]) -> Path:
    """Saves a checkpoint of the graph that `build` makes, with initial values, and returns its .meta file."""
    folder.mkdir(parents=True, exist_ok=True)
    with session() as opened:
        build()
        initialise(opened)
        prefix = v1.train.Saver().save(opened, str(folder / "model.ckpt"), global_step=7)
    return Path(f"{prefix}.meta")


def save_frozen(file: Path, build: Callable[[], Any], outputs: list[str]) -> Path:
    """Saves the graph that `build` makes with its variables as constants; as text if `file` ends with .pbtxt."""
    with session() as opened:
        build()
        initialise(opened)
        frozen = v1.graph_util.convert_variables_to_constants(opened, opened.graph.as_graph_def(), outputs)
    v1.train.write_graph(frozen, str(file.parent), file.name, as_text=file.suffix == ".pbtxt")
    return file


def answers(build: Callable[[], Any], outputs: dict[str, str], feeds: dict[str, Any]) -> dict[str, np.ndarray]:
    """Returns the outputs of the initialised graph; its initial values have a fixed seed."""
    with session() as opened:
        build()
        initialise(opened)
        found: dict[str, np.ndarray] = opened.run(outputs, feed_dict=feeds)
    return found
