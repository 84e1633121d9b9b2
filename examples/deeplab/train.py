"""Trains a small segmentation network in a TF1 session on images of discs and squares with a noisy background.

    python train.py FOLDER [STEPS]

Writes FOLDER/checkpoint/ and FOLDER/scene.npy, an image that was not used for training, uint8 [height, width, 3].
"""

import sys
from pathlib import Path
from typing import Any

from tfx_export.tensorflow_import import import_tensorflow

import_tensorflow()  # hides the messages that TensorFlow prints at import

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

CLASSES = 3  # background, disc, square
SIZE = 64


def scene(rng: np.random.Generator, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Returns an image, uint8 [size, size, 3], and the class of each pixel, int32 [size, size]."""
    rows, columns = np.mgrid[:size, :size]
    image = rng.integers(0, 90, (size, size, 3))
    classes = np.zeros((size, size), np.int32)
    for kind, color in ((1, (220, 80, 60)), (2, (70, 120, 230))):
        radius = int(rng.integers(size // 10, size // 5))
        row, column = rng.integers(radius, size - radius, 2)
        distance = np.abs(rows - row), np.abs(columns - column)
        inside = np.hypot(*distance) < radius if kind == 1 else np.maximum(*distance) < radius
        classes[inside] = kind
        image[inside] = np.clip(np.array(color) + rng.integers(-40, 40, (int(inside.sum()), 3)), 0, 255)
    return image.astype(np.uint8), classes


def network(images: Any) -> Any:
    """Returns the scores of the classes at a quarter of the resolution. Each call uses the same variables."""
    hidden = tf.cast(images, tf.float32) / 127.5 - 1
    with v1.variable_scope("network", reuse=v1.AUTO_REUSE):
        for layer, (channels, stride) in enumerate([(16, 2), (32, 2), (32, 1)]):
            kernel = v1.get_variable(f"kernel{layer}", [3, 3, hidden.shape[-1], channels])
            hidden = tf.nn.relu(tf.nn.conv2d(hidden, kernel, stride, "SAME"))
        return tf.nn.conv2d(hidden, v1.get_variable("head", [1, 1, 32, CLASSES]), 1, "SAME")


def add_serving_graph() -> tuple[Any, Any]:
    """Adds the part that is exported. Returns `images`, uint8 [1, height, width, 3], and the class of each pixel.

    The graph takes the pixels as one row, with `height` and `width`. Clients send `images` itself, which lies behind
    the reshape: nothing computes it then.
    """
    pixels = v1.placeholder(tf.uint8, [None], "pixels")
    height, width = v1.placeholder(tf.int32, name="height"), v1.placeholder(tf.int32, name="width")
    images = tf.identity(tf.reshape(pixels, (1, height, width, 3)), name="images")
    resized = tf.image.resize(network(images), tf.shape(images)[1:3])
    return images, tf.argmax(resized, 3, name="segmentation_map")


def train(folder: Path, steps: int) -> None:
    rng = np.random.default_rng(3)
    with tf.Graph().as_default(), v1.Session() as session:
        v1.set_random_seed(3)
        scenes = v1.placeholder(tf.uint8, [None, SIZE, SIZE, 3])
        classes = v1.placeholder(tf.int32, [None, SIZE, SIZE])
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes[:, 1::4, 1::4], logits=network(scenes))
        )
        step = v1.train.AdamOptimizer(0.005).minimize(loss)
        images, segmentation_map = add_serving_graph()
        session.run(v1.global_variables_initializer())
        for _ in range(steps):
            batch = [scene(rng) for _ in range(8)]
            session.run(step, {scenes: [image for image, _ in batch], classes: [truth for _, truth in batch]})
        image, truth = scene(rng, 3 * SIZE)
        found = session.run(segmentation_map, {images: [image]})[0]
        print(f"trained {steps} steps: {(found == truth).mean():.1%} of the pixels of a new scene are correct")
        v1.train.Saver().save(session, str(folder / "checkpoint" / "model.ckpt"))
    np.save(folder / "scene.npy", image)


if __name__ == "__main__":
    train(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 200)
