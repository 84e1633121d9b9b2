"""Measures a SavedModel's signature called in process, as TensorFlow Serving runs it: the baseline for latencies.

As a program it prints the median in milliseconds:

    python -m tfx_export.bench.plain_signature VERSION_FOLDER REQUEST SECONDS

REQUEST is a file with a serialized PredictRequest.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE
from tfx_export.tensorflow_import import import_tensorflow


def plain_signature_ms(
    version: Path, request: Path, seconds: float, environment: Mapping[str, str] = MappingProxyType({})
) -> float:
    """Measures for `seconds` in a new process with the variables `environment`. Returns the median in milliseconds.

    Raises SavedModelError if the signature fails.
    """
    command = [sys.executable, "-m", "tfx_export.bench.plain_signature", str(version), str(request), str(seconds)]
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    if done.returncode:
        raise SavedModelError(f"The signature fails in process: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)


def signature_call(loaded: Any, file: Path) -> Callable[[], Any]:
    """Returns a function that calls a signature of a loaded SavedModel with the PredictRequest in `file`."""
    import tensorflow as tf

    request = wire.PredictRequest.FromString(file.read_bytes())
    signature = loaded.signatures[request.model_spec.signature_name or DEFAULT_SIGNATURE]
    inputs = {name: tf.constant(tensor.decode(value)) for name, value in request.inputs.items()}
    return partial(signature, **inputs)


def main(folder: str, file: str, seconds: str) -> None:
    import_tensorflow()
    import tensorflow as tf

    loaded = tf.saved_model.load(folder)
    call = signature_call(loaded, Path(file))
    for _ in range(3):
        call()
    durations: list[float] = []
    end = time.perf_counter() + float(seconds)
    while not durations or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    print(1e3 * sorted(durations)[len(durations) // 2])  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
