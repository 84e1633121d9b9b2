"""A program: the milliseconds a SavedModel's signature takes, called in process as TensorFlow Serving runs it.

    python -m tfx_export.bench.plain VERSION_FOLDER REQUEST SECONDS

REQUEST is a file with a serialized PredictRequest.
"""

import sys
import time
from pathlib import Path
from typing import Any

from tfx_export import wire
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE
from tfx_export.tensorflow_import import import_tensorflow


def main(folder: str, file: str, seconds: str) -> None:
    import_tensorflow()
    import tensorflow as tf

    request = wire.PredictRequest.FromString(Path(file).read_bytes())
    loaded: Any = tf.saved_model.load(folder)
    signature = loaded.signatures[request.model_spec.signature_name or DEFAULT_SIGNATURE]
    inputs = {name: tf.constant(tensor.decode(value)) for name, value in request.inputs.items()}
    for _ in range(3):
        signature(**inputs)
    took: list[float] = []
    until = time.perf_counter() + float(seconds)
    while not took or time.perf_counter() < until:
        began = time.perf_counter()
        signature(**inputs)
        took.append(time.perf_counter() - began)
    print(1e3 * sorted(took)[len(took) // 2])  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
