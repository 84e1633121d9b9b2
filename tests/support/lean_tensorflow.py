"""TensorFlow for programs that build models or ask them: silent, on the CPU, without Keras unless they import it.

`from tests.support.lean_tensorflow import tf, tf1`, before anything else imports it.
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
