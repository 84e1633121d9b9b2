"""TensorFlow for programs that build or run models: without log messages, on the CPU, without Keras.

Import it as `from tests.support.lean_tensorflow import tf, tf1`, before any other import of TensorFlow.
"""

import logging
import os

from tfx_export.tensorflow_import import import_tensorflow, skip_unneeded_packages

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
skip_unneeded_packages(keras=False)
import_tensorflow()

import tensorflow as tf  # noqa: E402

tf.get_logger().setLevel(logging.ERROR)
tf1 = tf.compat.v1

__all__ = ["tf", "tf1"]
