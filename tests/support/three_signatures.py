"""A linear softmax classifier: as a SavedModel with three signatures over one weight matrix, and in numpy."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
LABELS = [b"cat", b"dog", b"emu"]


def weights() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((12, 3)).astype(np.float32)


def write(folder: Path, matrix: np.ndarray) -> None:
    """Writes the SavedModel with `matrix` [12, 3]: `serving_default` x -> y, `classify`, `image` image_bytes -> y."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 12], "x")
        w = v1.get_variable("w", initializer=matrix, use_resource=True)
        examples = v1.placeholder(tf.string, [None], "examples")
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([12], tf.float32)})
        images = v1.placeholder(tf.string, [None], "images")
        pixels = tf.map_fn(_decode, images, fn_output_signature=tf.float32)

        def infos(**of: Any) -> dict[str, object]:
            return {name: v1.saved_model.utils.build_tensor_info(tensor) for name, tensor in of.items()}

        def head(rows: Any) -> Any:
            return tf.nn.softmax(tf.matmul(tf.ensure_shape(rows, [None, 12]), w))

        scores = head(parsed["x"])
        labels = tf.tile([LABELS], [tf.shape(scores)[0], 1])
        define = v1.saved_model.signature_def_utils.build_signature_def
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.builder.SavedModelBuilder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {
                "serving_default": define(infos(x=x), infos(y=head(x)), "tensorflow/serving/predict"),
                "classify": define(
                    infos(inputs=examples), infos(scores=scores, classes=labels), "tensorflow/serving/classify"
                ),
                "image": define(
                    infos(image_bytes=images), infos(y=head(tf.reshape(pixels, [-1, 12]))), "tensorflow/serving/predict"
                ),
            },
        )
        builder.save()


def _decode(item: Any) -> Any:
    import tensorflow as tf

    image = tf.io.decode_image(item, channels=3, expand_animations=False)
    return tf.cast(image[:2, :2], tf.float32) / 255


def answer(matrix: np.ndarray, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the outputs of the model with `matrix`, computed without TensorFlow except for the decoding of images."""
    from tfx_export import wire

    if signature == "classify":
        examples = [wire.Example.FromString(item) for item in inputs["inputs"]]
        rows = np.array([example.features.feature["x"].float_list.value for example in examples])
        labels = np.array([LABELS] * len(rows), dtype=object)
        return {"scores": _softmax(rows @ matrix), "classes": labels}
    if signature == "image":
        pictures = [_decode(item).numpy() for item in inputs["image_bytes"]]
        return {"y": _softmax(np.array(pictures).reshape(-1, 12) @ matrix)}
    return {"y": _softmax(inputs["x"] @ matrix)}


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    result: np.ndarray = (powers / powers.sum(-1, keepdims=True)).astype(np.float32)
    return result


def write_unconvertible(folder: Path) -> None:
    """Writes a SavedModel whose only signature (`serving_default` x -> y) needs an operator that LiteRT lacks."""
    import tensorflow as tf

    def call(x: Any) -> dict[str, Any]:
        return {"y": tf.math.betainc(2.0 * tf.ones_like(x), tf.ones_like(x), tf.sigmoid(x))}

    signature = tf.function(call).get_concrete_function(tf.TensorSpec([None], tf.float32, name="x"))
    tf.saved_model.save(tf.Module(), str(folder), signatures=signature)
