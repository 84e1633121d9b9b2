"""A trace of what TensorFlow does for a while."""

import threading
import time

from tensorflow.python.profiler.internal import _pywrap_profiler

from serve.errors import Code, ServeError

MAX_SECONDS = 60.0
# Held as long as a trace is taken.
tracing = threading.Lock()


def capture(seconds: float) -> bytes:
    """A serialized XSpace. Blocking. UNAVAILABLE while another trace is taken."""
    if not tracing.acquire(blocking=False):
        raise ServeError(Code.UNAVAILABLE, "Another trace is being taken")
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
