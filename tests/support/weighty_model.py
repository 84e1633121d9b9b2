"""Write one version of `weighty`: y = x times ones out of argv[2] megabytes of them, in argv[1]."""

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
        # What depends on the request cannot be folded away.
        y = x * tf.reduce_mean(tf.gather(weights, tf.cast(x, tf.int32)), axis=1)
        session_model(folder, {"x": x}, {"y": y})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
