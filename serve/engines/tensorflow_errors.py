"""Turns TensorFlow's exceptions into ServeError, with TensorFlow's code and text."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from serve.errors import Code, ServeError


@contextmanager
def loading_errors() -> Iterator[None]:
    """Raises a ServeError for each error by which TensorFlow refuses a SavedModel."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ServeError(Code(error.error_code), error.message + _hint(error.message)) from None
    except OSError as error:
        raise ServeError(Code.NOT_FOUND, str(error)) from None
    except (RuntimeError, ValueError) as error:
        raise ServeError(Code.INVALID_ARGUMENT, str(error)) from None
    except ServeError:
        raise
    except Exception as error:  # any exception: TensorFlow's loader assumes a valid SavedModel
        raise ServeError(Code.INVALID_ARGUMENT, f"{type(error).__name__}: {error}") from None


def from_tensorflow(error: tf.errors.OpError | UnicodeDecodeError) -> ServeError:
    """Returns the ServeError for an exception of a session's run."""
    if isinstance(error, UnicodeDecodeError):
        # TensorFlow's message quotes an input that is not valid UTF-8. Its code is lost.
        return ServeError(Code.INVALID_ARGUMENT, error.object.decode(errors="replace"))
    return ServeError(Code(error.error_code), error.message)


def _hint(message: str) -> str:
    """The flags to add if an operator is missing; otherwise empty."""
    missing = "not registered" in message
    return " Load the library or module that defines it: --op_library=FILE.so, or --import=MODULE" if missing else ""
