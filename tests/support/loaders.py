"""Loads and runs a SavedModel in two ways: in a session as TensorFlow Serving does, and as TF2 code does."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf


def run_in_session(
    folder: Path, inputs: Mapping[str, np.ndarray], name: str = "serving_default"
) -> dict[str, np.ndarray]:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
        signature = meta.signature_def[name]
        feeds = {signature.inputs[name].name: value for name, value in inputs.items()}
        answers: dict[str, np.ndarray] = session.run(
            {key: info.name for key, info in signature.outputs.items()}, feed_dict=feeds
        )
        return answers


def run_loaded(folder: Path, inputs: Mapping[str, np.ndarray], name: str = "serving_default") -> dict[str, np.ndarray]:
    signature = tf.saved_model.load(str(folder)).signatures[name]
    answers = signature(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in answers.items()}
