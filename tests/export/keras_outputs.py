"""Computes the outputs of a Keras file, for tests of its sources."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tfx_export.exporting.signatures.build_signature import build_signatures
from tfx_export.exporting.sources import keras as keras_source
from tfx_export.exporting.sources.keras_file import inspect_keras_file
from tfx_export.exporting.sources.keras_options import DEFAULT_OPTIONS, KerasOptions
from tfx_export.exporting.spec.model import ExportSpec

Inputs = dict[str, Any]


def outputs_of(path: Path, inputs: Inputs, options: KerasOptions = DEFAULT_OPTIONS) -> dict[str, np.ndarray]:
    """Returns the outputs of the Predict signature of the file, computed as a server does."""
    with keras_source.open_file(inspect_keras_file(path, options)) as source:
        built = build_signatures(source, ExportSpec())[0]
        feeds = {built.signature.inputs[name].tensor: value for name, value in inputs.items()}
        fetch = {name: spec.tensor for name, spec in built.signature.outputs.items()}
        found: dict[str, np.ndarray] = source.session.run(fetch, feeds)
        return found


def save(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).uniform(-1, 1, shape).astype(np.float32)
