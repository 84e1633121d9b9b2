"""Import TensorFlow without the lines it writes to stderr before anybody can ask it not to."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

_ours = False


def process_is_ours() -> None:
    """Say that this is a program of this project, so that nobody asks it for all of Keras."""
    global _ours
    _ours = True


def import_tensorflow() -> None:
    """Import TensorFlow; silently, unless TF_CPP_MIN_LOG_LEVEL asks for its messages."""
    if "tensorflow" in sys.modules:
        return
    with _scikit_learn_held_back():
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
def _scikit_learn_held_back() -> Iterator[None]:
    """Keras wraps scikit-learn where it is installed; only to import it takes as long as half of TensorFlow."""
    if not _ours or "sklearn" in sys.modules:
        yield
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["sklearn"]
