"""The native front: Envoy carries the protocols and runs the Python that answers them (with pyvoy)."""

from typing import TYPE_CHECKING

from serve.config import Config
from serve.errors import Code, ServeError

if TYPE_CHECKING:
    from serve.fronts.native.front import NativeFront


def make(config: Config) -> "NativeFront":
    # Imported here because the worker, a module of the same package, does not need them.
    from serve.fronts.native import embedded_python
    from serve.fronts.native.front import NativeFront

    if reason := embedded_python.why_unavailable():
        raise ServeError(Code.UNAVAILABLE, f"The native front cannot run here: {reason}. Choose --front=python.")
    return NativeFront(config)
