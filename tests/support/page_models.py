"""Writes the models of the page's tests below argv[1]. A separate program, because it imports TensorFlow.

quarters   the four scores are the brightness of the quarters of `image`, from left to right
pair       two inputs: y = x + n
"""

# TensorFlow has no types: its decorators are Any.
# mypy: disable-error-code="untyped-decorator"

import sys
from pathlib import Path
from typing import Any

from tests.support.lean_tensorflow import tf
from tfx_export import Extras, export_function


@tf.function(input_signature=[tf.TensorSpec([None, 8, 8], tf.float32, "image")])
def quarters(image: Any) -> Any:
    return {"scores": tf.reduce_sum(tf.reshape(image, [-1, 8, 4, 2]), [1, 3])}


@tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x"), tf.TensorSpec([2], tf.int64, "n")])
def pair(x: Any, n: Any) -> Any:
    return {"y": x + tf.cast(n, tf.float32)}


def main(folder: Path) -> None:
    export_function(quarters, folder / "quarters", extras=Extras(verify=False))
    export_function(pair, folder / "pair", extras=Extras(verify=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
