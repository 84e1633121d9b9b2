"""Helpers for tests of the preparation of versions."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from serve.engines.preparation import child

MEGABYTE = 1 << 20


def children() -> list[psutil.Process]:
    """The children of this process that prepare versions."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.MODULE in process.cmdline():
                found.append(process)
    return found


def assert_as_tensorflow(model: Any, version: Path) -> None:
    """Compares the answers of all dense signatures with those of TensorFlow."""
    import tensorflow as tf

    plain = tf.saved_model.load(str(version))
    for name, signature in model.signatures.items():
        if name not in ("serving_default", "half"):
            continue
        inputs = {
            alias: np.random.default_rng(1).random([size or 3 for size in spec.shape]).astype(np.float32)
            for alias, spec in signature.inputs.items()
        }
        expected = plain.signatures[name](**{alias: tf.constant(value) for alias, value in inputs.items()})
        answer = model.run(name, inputs, [*signature.outputs])
        for alias, value in expected.items():
            np.testing.assert_allclose(answer[alias], value.numpy(), rtol=1e-4, atol=1e-5)
