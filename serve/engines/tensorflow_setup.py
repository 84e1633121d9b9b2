"""Prepares the process for TensorFlow: the one place where loading an engine changes more than its own modules."""

import gc
import logging
import os
import platform
import time
from functools import cache
from importlib import import_module
from types import ModuleType

from serve.metrics.process import private_bytes
from tfx_export.tensorflow_import import import_tensorflow, skip_unneeded_packages

# One entry, once TensorFlow is ready.
_started: list[tuple[float, int]] = []


@cache
def tensorflow_engine() -> ModuleType:
    """Imports TensorFlow and returns the module serve.engines.tensorflow.

    Sets environment variables that TensorFlow reads on import, and takes TensorFlow's objects out of garbage
    collection. Called once, by the thread that loads the first model for this engine.
    """
    set_environment()
    # TensorFlow's start-up messages do not belong in the server's log.
    skip_unneeded_packages(keras=False)
    import_tensorflow()
    engine = import_module("serve.engines.tensorflow")
    import_module("tensorflow").get_logger().setLevel(logging.ERROR)
    # TensorFlow's own objects live as long as the process. If the collector visited them again and again, that would
    # cost every request more than its decoding.
    gc.collect()
    gc.freeze()
    _started.append((time.perf_counter(), private_bytes()))
    return engine


def started() -> tuple[float, int] | None:
    """When TensorFlow was ready, by time.perf_counter, and the private memory of the process then. None before that."""
    return _started[0] if _started else None


def set_environment() -> None:
    """Sets TensorFlow's defaults for a server. Variables that the operator has set stay as they are."""
    # TensorFlow enables oneDNN only on processors with instructions for neural networks. On others convolutions gain
    # too: MobileNetV2 takes half the time for eight images, ResNet50 three quarters for one image on one thread. A run
    # of 40 us becomes 10 us longer.
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        # oneDNN's own allocator never returns the memory of an unloaded model.
        os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    # Otherwise the first session decides how many threads all later sessions use (common_runtime/local_device.cc).
    os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")
