"""Trains a softmax regression on MNIST in a TF1 session, saves a checkpoint and exports the live session.

    python train.py FOLDER [MNIST]

Writes FOLDER/checkpoint/, FOLDER/models/mnist/1 (exported from the session), FOLDER/signatures.yaml, FOLDER/test.npz
and FOLDER/digits.txt. The command line exports version 2 from the checkpoint.
"""

import sys
from pathlib import Path

from tfx_export.tensorflow_import import import_tensorflow

import_tensorflow()  # hides the messages that TensorFlow prints at import

import numpy as np
import tensorflow as tf
from data import load

import tfx_export

v1 = tf.compat.v1

STEPS, BATCH = 1000, 100
HERE = Path(__file__).resolve().parent


def train(folder: Path, data: Path | None) -> None:
    (images, labels), (test_images, test_labels) = load(data)
    np.savez(folder / "test.npz", images=test_images, labels=test_labels)
    (folder / "digits.txt").write_text("".join(f"{digit}\n" for digit in range(10)))

    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 784], "x")
        y_ = v1.placeholder(tf.int64, [None], "labels")
        w, b = v1.get_variable("w", [784, 10]), v1.get_variable("b", [10], initializer=tf.zeros_initializer())
        logits = tf.matmul(x, w) + b
        y = tf.nn.softmax(logits, name="y")
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y_, logits=logits))
        step = v1.train.GradientDescentOptimizer(0.5).minimize(loss)
        session.run(v1.global_variables_initializer())
        for _ in range(STEPS):
            rows = rng.integers(len(images), size=BATCH)
            session.run(step, {x: images[rows], y_: labels[rows]})
        correct = session.run(y, {x: test_images}).argmax(1) == test_labels
        print(f"trained on {len(images)} images: accuracy {correct.mean():.2%} on {len(correct)} test images")

        v1.train.Saver().save(session, str(folder / "checkpoint" / "model.ckpt"))
        exported = tfx_export.export_session(
            session,
            folder / "models" / "mnist",
            inputs={"images": x.name},
            outputs={"scores": y.name},
            spec=folder / "signatures.yaml",
            version=1,
        )
        print(f"exported the session: {exported.path.relative_to(folder)}")


if __name__ == "__main__":
    work = Path(sys.argv[1]).resolve()
    # Copied next to the labels file, because its paths are relative.
    (work / "signatures.yaml").write_text((HERE / "signatures.yaml").read_text())
    train(work, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
