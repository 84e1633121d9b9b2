"""Runs the server: start, serve until a signal, drain, exit."""

import asyncio
import contextlib
import logging
import sys
from pathlib import Path

from serve.config import Config
from serve.errors import ServeError
from serve.fronts import Front, make_front
from serve.signals import on_stop_signal
from serve.startup.config_files import check_config_files

logger = logging.getLogger("serve")


def run(config: Config) -> int:
    """Serves until SIGTERM or SIGINT. Returns the exit code: 0 after a signal, 1 if the start failed."""
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
    loop = asyncio.get_running_loop()
    on_stop_signal(lambda: loop.call_soon_threadsafe(signalled.set))
    front = make_front(config)
    start = asyncio.create_task(front.start())
    waiting = asyncio.create_task(signalled.wait())
    await asyncio.wait((start, waiting), return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        logger.info("Stopped before a model could be served")
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
