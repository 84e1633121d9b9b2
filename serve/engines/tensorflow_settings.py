"""What the operator sets for TensorFlow: the sessions' ConfigProto, and custom operators."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2

from serve.config import Config
from serve.errors import Code, ServeError


def check_settings(config: Config) -> None:
    """Raises INVALID_ARGUMENT for an invalid ConfigProto, NOT_FOUND for custom operators that cannot be loaded."""
    session_config(config)
    load_custom_ops(config)


def session_config(config: Config) -> Any:
    """The ConfigProto of --tensorflow_session_config_file, overridden by flags.

    By default (inter_op_parallelism_threads -1) TensorFlow runs operators on the calling thread.
    """
    settings = config_pb2.ConfigProto()
    if config.tensorflow_session_config_file:
        file = Path(config.tensorflow_session_config_file)
        try:
            text_format.Parse(file.read_bytes(), settings)
        except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
            raise ServeError(
                Code.INVALID_ARGUMENT, f"Error parsing text-format tensorflow.ConfigProto: {file}: {error}"
            ) from None
    settings.inter_op_parallelism_threads = (
        config.tensorflow_inter_op_parallelism
        or config.tensorflow_session_parallelism
        or settings.inter_op_parallelism_threads
        or -1
    )
    settings.intra_op_parallelism_threads = (
        config.tensorflow_intra_op_parallelism
        or config.tensorflow_session_parallelism
        or settings.intra_op_parallelism_threads
    )
    settings.allow_soft_placement = True
    return settings


def load_custom_ops(config: Config) -> None:
    for library in config.op_library:
        _load_library(library)
    for module in config.import_module:
        try:
            import_module(module)
        except BaseException as error:  # any exception, also SystemExit: this is the operator's own code
            raise ServeError(Code.INVALID_ARGUMENT, f"--import={module}: {type(error).__name__}: {error}") from None


@cache
def _load_library(path: str) -> None:
    try:
        tf.load_op_library(path)
    except tf.errors.OpError as error:
        raise ServeError(Code.NOT_FOUND, f"--op_library={path}: {error.message}") from None
