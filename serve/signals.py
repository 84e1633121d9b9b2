"""How the server process handles SIGTERM and SIGINT."""

import os
import signal
from collections.abc import Callable
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_stop_signal(stop: Callable[[], object]) -> None:
    """Calls `stop` at the first SIGTERM or SIGINT; the second ends the process at once, with status 128 + its number.

    Call this in the main thread. `stop` runs there too, between any two steps of the code: in an event loop it should
    only schedule work, with `call_soon_threadsafe`.
    """

    def first(number: int, frame: FrameType | None) -> None:
        for each in STOP_SIGNALS:
            signal.signal(each, _exit)
        stop()

    for each in STOP_SIGNALS:
        signal.signal(each, first)


def _exit(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
