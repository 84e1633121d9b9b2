"""Turns TensorFlow's exceptions into ServeError, with TensorFlow's text and, except for damaged files, its code."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from serve.errors import Code, ServeError

_NO_FILE = "No such file or directory"
# Python's text of a path that TensorFlow holds as bytes: b'/models/m/1'.
_BYTES = re.compile(r"\bb(?=(['\"]).*?\1)")


@contextmanager
def loading_errors() -> Iterator[None]:
    """Raises a ServeError for each error by which TensorFlow refuses a SavedModel."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ServeError(_loading_code(error), _plain(error.message) + _hint(error.message)) from None
    except OSError as error:
        raise ServeError(Code.DATA_LOSS, _plain(str(error))) from None
    except UnicodeDecodeError as error:
        raise from_tensorflow(error) from None
    except (RuntimeError, ValueError) as error:
        raise ServeError(Code.INVALID_ARGUMENT, _plain(str(error))) from None
    except ServeError:
        raise
    except Exception as error:  # any exception: TensorFlow's loader assumes a valid SavedModel
        raise ServeError(Code.INVALID_ARGUMENT, _plain(f"{type(error).__name__}: {error}")) from None


def from_tensorflow(error: tf.errors.OpError | UnicodeDecodeError) -> ServeError:
    """Returns the ServeError for an exception of a session's run."""
    if isinstance(error, UnicodeDecodeError):
        # TensorFlow's message quotes an input that is not valid UTF-8. Its code is lost.
        return ServeError(Code.INVALID_ARGUMENT, error.object.decode(errors="replace"))
    return ServeError(Code(error.error_code), error.message)


def _loading_code(error: tf.errors.OpError) -> Code:
    """Returns DATA_LOSS if a part of the SavedModel is missing or too short, else TensorFlow's code."""
    code = Code(error.error_code)
    if code is Code.NOT_FOUND:  # an operator that is not registered, or a file or a variable that is missing
        return code if _hint(error.message) else Code.DATA_LOSS
    missing = code is Code.UNKNOWN and _NO_FILE in error.message
    return Code.DATA_LOSS if missing or code is Code.OUT_OF_RANGE else code


def _plain(text: str) -> str:
    return _BYTES.sub("", text)


def _hint(message: str) -> str:
    """The flags to add if an operator is missing; otherwise empty."""
    missing = "not registered" in message
    return " Load the library or module that defines it: --op_library=FILE.so, or --import=MODULE" if missing else ""
