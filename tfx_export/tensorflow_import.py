"""Imports TensorFlow with its logging suppressed, and without packages that the program does not need."""

import gc
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from tfx_export.custom_ops import load_custom_ops

# Packages that TensorFlow imports if they are installed, but this program does not need.
_unneeded: tuple[str, ...] = ()


def skip_unneeded_packages(*, keras: bool = True) -> None:
    """Leaves out scikit-learn when TensorFlow is imported, and with `keras=False` also Keras.

    Keras gets the backend TensorFlow, even if the environment or Keras's own settings name another. For the programs of
    this project only: as a library, it must not change what the user's program imports.
    """
    global _unneeded
    # Keras wraps scikit-learn, whose import takes half as long as that of TensorFlow. For Keras only a subpackage is
    # blocked, because TensorFlow may still check whether the package itself is installed.
    _unneeded = ("sklearn",) if keras else ("sklearn", "keras.src", "tf_keras.src")


def import_tensorflow() -> None:
    """Imports TensorFlow with its logging suppressed, unless TF_CPP_MIN_LOG_LEVEL is set to another level.

    Then loads the custom operators that `use_custom_ops` chose.
    """
    if _unneeded:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    if "tensorflow" not in sys.modules:
        with _import_blocked([name for name in _unneeded if name not in sys.modules]), _garbage_collection_paused():
            _import_with_logging_suppressed()
    load_custom_ops()


def _import_with_logging_suppressed() -> None:
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        import_module("tensorflow")
        return
    logging.getLogger("absl").setLevel(logging.ERROR)
    # TensorFlow's native code writes to the file descriptor before logging is set up, at any level.
    sys.stderr.flush()
    stderr = os.dup(2)
    null_device = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null_device, 2)
        import_module("tensorflow")
    finally:
        os.dup2(stderr, 2)
        os.close(null_device)
        os.close(stderr)


@contextmanager
def _import_blocked(names: Sequence[str]) -> Iterator[None]:
    """Makes the import of these packages an ImportError inside the context; afterwards they can be imported."""
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Pauses garbage collection: imported objects stay alive, and searching them takes a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
