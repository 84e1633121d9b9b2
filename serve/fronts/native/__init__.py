"""The native front: Envoy carries the protocols, and runs the Python that answers them (pyvoy)."""

from serve.config import Config
from serve.errors import Code, ServeError
from serve.fronts.native import interpreter
from serve.fronts.native.front import NativeFront


def make(config: Config) -> NativeFront:
    if reason := interpreter.missing():
        raise ServeError(Code.UNAVAILABLE, f"The native front cannot run here: {reason}. Choose --front=python.")
    return NativeFront(config)
