"""The native front: Envoy carries the protocols, and runs the Python that answers them (pyvoy)."""

from typing import TYPE_CHECKING

from serve.config import Config
from serve.errors import Code, ServeError

if TYPE_CHECKING:
    from serve.fronts.native.front import NativeFront


def make(config: Config) -> "NativeFront":
    # Not above: the worker is a module of this package too, and has no use for them.
    from serve.fronts.native import embedded_python
    from serve.fronts.native.front import NativeFront

    if reason := embedded_python.why_unavailable():
        raise ServeError(Code.UNAVAILABLE, f"The native front cannot run here: {reason}. Choose --front=python.")
    return NativeFront(config)
