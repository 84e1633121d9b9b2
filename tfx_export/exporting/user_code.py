"""Contains the user's own Python code, such as layers and functions, which may raise anything and even end the program.

An exit or an interrupt that such code raises becomes a SourceError. Ctrl-C and SIGTERM still end the program: the
command line raises exceptions of its own for them (`signals_as_exceptions`).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from tfx_export.errors import SourceError


class Interrupted(KeyboardInterrupt):
    """The user pressed Ctrl-C."""


class Terminated(SystemExit):
    """The process was sent SIGTERM."""


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raises Terminated for SIGTERM and Interrupted for Ctrl-C in the main thread, so that `with` blocks clean up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, _terminate)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a shell may have it ignored
        before[signal.SIGINT] = signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted


def is_signal(error: BaseException) -> bool:
    """Returns whether `error` comes from a signal rather than from code.

    A KeyboardInterrupt comes from code only where `signals_as_exceptions` would have raised Interrupted for Ctrl-C.
    """
    if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is not _interrupt:
        return True
    return isinstance(error, Interrupted | Terminated | GeneratorExit)


@contextmanager
def exits_as_errors() -> Iterator[None]:
    """Raises SourceError instead of an exit, an interrupt or the like that the code of a model raised."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or is_signal(error):
            raise
        raise SourceError(
            f"Python code of the model raised {describe(error)}, which would end the program.",
            hint="Remove calls of sys.exit from layers and functions.",
        ) from error


def describe(error: BaseException) -> str:
    """Returns the type of an error with its text: `SystemExit: 3`, or `KeyboardInterrupt` if it has none."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
