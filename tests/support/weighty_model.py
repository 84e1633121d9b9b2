"""A program: writes one version of the model `weighty` to argv[1], with argv[2] megabytes of weights: y = x."""

import sys
from pathlib import Path

from tests.support.lean_tensorflow import tf
from tests.support.served_models import session_model

COLUMNS = 1024


def main(folder: Path, megabytes: int) -> None:
    with tf.Graph().as_default():
        rows = megabytes * (1 << 20) // (4 * COLUMNS)
        weights = tf.compat.v1.get_variable("weights", [rows, COLUMNS], initializer=tf.ones_initializer())
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        # The index comes from the request, so that TensorFlow cannot fold the weights into a constant.
        y = x * tf.reduce_mean(tf.gather(weights, tf.cast(x, tf.int32)), axis=1)
        session_model(folder, {"x": x}, {"y": y})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
