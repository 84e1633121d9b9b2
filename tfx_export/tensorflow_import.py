"""Import TensorFlow: silent from its first line on, and without packages that the program does not need."""

import gc
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

# Packages that TensorFlow imports where they are installed, and this program does without.
_unwanted: tuple[str, ...] = ()


def skip_unneeded_packages(*, keras: bool = True) -> None:
    """Say that this is a program of this project: it does not need all of Keras, nor, with `keras=False`, any of it."""
    global _unwanted
    # Keras wraps scikit-learn: only to import that takes as long as half of TensorFlow. Of Keras a subpackage is named:
    # whether the package itself is installed, TensorFlow may still find out.
    _unwanted = ("sklearn",) if keras else ("sklearn", "keras.src", "tf_keras.src")


def import_tensorflow() -> None:
    """Import TensorFlow; silently, unless TF_CPP_MIN_LOG_LEVEL asks for its messages."""
    if "tensorflow" in sys.modules:
        return
    with _held_back([name for name in _unwanted if name not in sys.modules]), _no_garbage_collected():
        _import_quietly()


def _import_quietly() -> None:
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        import_module("tensorflow")
        return
    logging.getLogger("absl").setLevel(logging.ERROR)
    # Its native code writes to the file descriptor, before logging is set up and whatever the level.
    sys.stderr.flush()
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import_module("tensorflow")
    finally:
        os.dup2(stderr, 2)
        os.close(nowhere)
        os.close(stderr)


@contextmanager
def _held_back(names: Sequence[str]) -> Iterator[None]:
    """To import one of these packages is an ImportError; afterwards it can be imported."""
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """What an import makes stays: to look through it for garbage, again and again, takes a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
