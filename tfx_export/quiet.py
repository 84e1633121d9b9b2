"""Import TensorFlow without the lines it writes to stderr before anybody can ask it not to."""

import logging
import os
import sys
from importlib import import_module


def import_tensorflow() -> None:
    """Import TensorFlow; silently, unless TF_CPP_MIN_LOG_LEVEL asks for its messages."""
    if "tensorflow" in sys.modules:
        return
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
