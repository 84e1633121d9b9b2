"""Captures a trace of TensorFlow's work."""

import threading
import time

from tensorflow.python.profiler.internal import _pywrap_profiler

from serve.errors import Code, ServeError

MAX_SECONDS = 60.0
# Held while a trace is captured.
tracing = threading.Lock()


def capture(seconds: float) -> bytes:
    """Traces for `seconds`, at most MAX_SECONDS, and returns a serialized XSpace.

    Blocks. Raises UNAVAILABLE while another trace is being captured.
    """
    if not tracing.acquire(blocking=False):
        raise ServeError(Code.UNAVAILABLE, "Another trace is being captured")
    try:
        session = _pywrap_profiler.ProfilerSession()
        session.start("", {"host_tracer_level": 2, "python_tracer_level": 0})
        time.sleep(min(seconds, MAX_SECONDS))
        trace: bytes = session.stop()
        return trace
    except RuntimeError as error:
        raise ServeError(Code.INTERNAL, str(error)) from None
    finally:
        tracing.release()
