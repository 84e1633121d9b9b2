"""WorkerSupervisor: starts Envoy with a worker inside, watches it, replaces it when it ends, and stops it."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from serve.config import Config
from serve.errors import Code, ServeError
from serve.fronts.native import embedded_python
from serve.fronts.native.envoy import Envoy
from serve.fronts.native.envoy_config import Listener, bootstrap_config
from serve.fronts.native.message_router import MessageRouter
from serve.fronts.native.worker_messages import Drain, Failed, Loaded, Start
from serve.startup.overview import ServedVersion

logger = logging.getLogger("serve")

APP = "serve.fronts.native.worker:app"
# A worker that dies sooner than this after its start is not replaced before as much time has passed.
SHORT_LIFE_SECONDS = 5.0


class WorkerSupervisor:
    """One worker at a time behind `listeners`, which it may share with others; on `processor` only, if one is given."""

    def __init__(
        self, config: Config, listeners: Sequence[Listener], router: MessageRouter, processor: int | None = None
    ) -> None:
        self._config = config
        self._router = router
        self._processor = processor
        self._runtime = Path(tempfile.mkdtemp(prefix="tfx-export-front-"))
        self._configuration = bootstrap_config(
            listeners, config=config, app=APP, module=embedded_python.envoy_module(), runtime=self._runtime
        )
        self._envoy: Envoy | None = None
        self._channel: Connection | None = None
        self._supervision: asyncio.Task[None] | None = None

    async def start(self) -> tuple[ServedVersion, ...]:
        """Start a worker and go on keeping one. Raises ServeError if it ends at once, or has nothing to serve."""
        versions = await self._start_worker()
        self._supervision = asyncio.create_task(self._supervise())
        return versions

    async def stop_accepting(self) -> None:
        """Close the listeners; requests in flight go on."""
        if self._supervision:
            self._supervision.cancel()
        if self._channel:
            with contextlib.suppress(OSError):
                self._channel.send(Drain())
        if self._envoy:
            await self._envoy.stop_accepting()

    async def wait_idle(self) -> None:
        """Return once no request is in flight."""
        if self._envoy:
            await self._envoy.wait_idle()

    async def stop(self) -> None:
        """End the worker, whatever is in flight."""
        if self._supervision:
            self._supervision.cancel()
        if self._envoy:
            await self._envoy.stop()
        self._hang_up()
        shutil.rmtree(self._runtime, ignore_errors=True)

    async def _start_worker(self) -> tuple[ServedVersion, ...]:
        self._hang_up()
        ours, theirs = Pipe()
        self._channel = ours
        with theirs:
            self._envoy = await Envoy.start(self._configuration, theirs, self._runtime, self._processor)
        try:
            ours.send(Start(self._config, self._router.reloaded_config))
            message = await _receive(ours)
        except (EOFError, OSError):
            raise ServeError(Code.UNAVAILABLE, await self._envoy.end()) from None
        if isinstance(message, Failed):
            raise message.error
        assert isinstance(message, Loaded)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._listen, ours)
        self._router.join(ours)
        await self._envoy.wait_open()
        return message.versions

    async def _supervise(self) -> None:
        """Replace a worker that dies, for as long as the server is wanted."""
        started = time.monotonic()
        while True:
            if self._envoy:
                logger.error("%s Starting another.", await self._envoy.end())
            await asyncio.sleep(max(0.0, started + SHORT_LIFE_SECONDS - time.monotonic()))
            started = time.monotonic()
            try:
                await self._start_worker()
                logger.info("The new worker serves")
            except ServeError as error:
                logger.error("The new worker cannot serve: %s", error)
                if self._envoy:
                    await self._envoy.stop()

    def _listen(self, channel: Connection) -> None:
        """Take one message of the worker's; the loop calls again for the next."""
        try:
            self._router.take(channel, channel.recv())
        except (EOFError, OSError):
            self._hang_up()

    def _hang_up(self) -> None:
        if self._channel:
            self._router.leave(self._channel)
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None


async def _receive(channel: Connection) -> Any:
    """The next message. Raises EOFError when the other side has gone."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(channel.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(channel.fileno())
    return channel.recv()
