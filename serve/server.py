"""The server's life: start, serve until a signal, drain, exit."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from serve.config import Config
from serve.errors import ServeError
from serve.fronts import Front, make_front
from serve.startup.config_files import check_config_files

logger = logging.getLogger("serve")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(config: Config) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code: 0 after a signal, 1 if the start failed."""
    try:
        with contextlib.suppress(ImportError):
            import uvloop

            return uvloop.run(_serve(config))
        return asyncio.run(_serve(config))
    except ServeError as error:
        sys.stderr.write(f"Failed to start server. Error: {error}\n")
        return 1


async def _serve(config: Config) -> int:
    check_config_files(config)
    signalled = asyncio.Event()
    _on_signals(signalled.set)
    front = make_front(config)
    start = asyncio.create_task(front.start())
    waiting = asyncio.create_task(signalled.wait())
    await asyncio.wait((start, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        logger.info("Stopped before anything could be served")
        return 0
    overview = start.result()
    sys.stdout.write(overview.text() + "\n")
    sys.stdout.flush()
    if config.ready_file:
        overview.write(Path(config.ready_file))
    await waiting
    await _drain(front, config.drain_seconds)
    return 0


async def _drain(front: Front, seconds: float) -> None:
    logger.info("Draining: no new requests, %g s for those in flight", seconds)
    await front.stop_accepting()
    try:
        await asyncio.wait_for(front.wait_idle(), seconds)
    except asyncio.TimeoutError:
        logger.warning("Requests were still in flight after %g s", seconds)
    await front.stop()
    logger.info("Stopped")


def _on_signals(stop: Callable[[], None]) -> None:
    """The first signal calls `stop` in the event loop, the second ends the process at once."""
    received = False

    def handle(number: int) -> None:
        nonlocal received
        if received:
            os._exit(128 + number)
        received = True
        stop()

    loop = asyncio.get_running_loop()
    for each in SIGNALS:
        try:
            loop.add_signal_handler(each, handle, each)
        except NotImplementedError:  # Windows
            signal.signal(each, lambda number, _: loop.call_soon_threadsafe(handle, number))
