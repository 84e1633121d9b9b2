"""WorkerSupervisor: starts Envoy with a worker inside, watches it, replaces it if it ends, and stops it."""

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

from serve.config import Config
from serve.errors import Code, ServeError
from serve.fronts.native import embedded_python
from serve.fronts.native.envoy import Envoy
from serve.fronts.native.envoy_config import Listener, bootstrap_config
from serve.fronts.native.message_router import MessageRouter
from serve.fronts.native.worker_messages import Drain, Failed, Loaded, Message, Start
from serve.lifecycle.quarantine import Quarantine
from serve.startup.overview import ServedVersion

logger = logging.getLogger("serve")

APP = "serve.fronts.native.pyvoy_app:app"
# The shortest time between two starts of a worker: one that ends sooner is replaced only when this has passed.
MIN_SECONDS_BETWEEN_STARTS = 5.0


class WorkerEndedError(ServeError):
    """The worker ended before it served."""


class WorkerSupervisor:
    """Keeps one worker running behind `listeners`, whose ports other workers may share.

    The worker runs only on `processor`, if one is given.
    """

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
        self._marks = self._runtime / "loading"
        self._quarantine = Quarantine(self._marks)
        self._envoy: Envoy | None = None
        self._channel: Connection | None = None
        self._supervision: asyncio.Task[None] | None = None

    async def start(self) -> tuple[ServedVersion, ...]:
        """Starts the worker and its supervision. Raises ServeError if the worker ends at once or has no model."""
        while True:
            try:
                versions = await self._start_worker()
                break
            except WorkerEndedError as error:
                # A version that ends the worker a second time is in quarantine at the third start.
                if not self._count_loading():
                    raise
                logger.error("%s Starting another.", error)
        self._supervision = asyncio.create_task(self._supervise())
        return versions

    async def stop_accepting(self) -> None:
        """Closes the listeners; requests in flight continue."""
        if self._supervision:
            self._supervision.cancel()
        if self._channel:
            with contextlib.suppress(OSError):
                self._channel.send(Drain())
        if self._envoy:
            await self._envoy.stop_accepting()

    async def wait_idle(self) -> None:
        """Returns once no request is in flight."""
        if self._envoy:
            await self._envoy.wait_idle()

    async def stop(self) -> None:
        """Ends the worker, even if requests are in flight."""
        if self._supervision:
            self._supervision.cancel()
        if self._envoy:
            await self._envoy.stop()
        self._close_channel()
        shutil.rmtree(self._runtime, ignore_errors=True)

    async def _start_worker(self) -> tuple[ServedVersion, ...]:
        self._close_channel()
        ours, theirs = Pipe()
        self._channel = ours
        with theirs:
            self._envoy = await Envoy.start(self._configuration, theirs, self._runtime, self._processor)
        try:
            ours.send(Start(self._config, self._router.reloaded_config, self._marks, self._quarantine.versions))
            message = await _receive(ours)
        except (EOFError, OSError):
            raise WorkerEndedError(Code.UNAVAILABLE, await self._envoy.wait_end()) from None
        if isinstance(message, Failed):
            raise message.error
        assert isinstance(message, Loaded)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read_message, ours)
        self._router.add(ours)
        await self._envoy.wait_open()
        return message.versions

    async def _supervise(self) -> None:
        """Replaces the worker whenever it ends, until this task is cancelled."""
        started = time.monotonic()
        while True:
            if self._envoy:
                logger.error("%s Starting another.", await self._envoy.wait_end())
                self._count_loading()
            await asyncio.sleep(max(0.0, started + MIN_SECONDS_BETWEEN_STARTS - time.monotonic()))
            started = time.monotonic()
            try:
                await self._start_worker()
                logger.info("The new worker serves")
            except (ServeError, OSError) as error:  # OSError: no memory or file for the process
                logger.error("The new worker cannot serve: %s", error)
                if self._envoy:
                    await self._envoy.stop()

    def _count_loading(self) -> bool:
        """Counts the versions that the ended worker was loading. Returns whether there were any."""
        paths = self._quarantine.worker_ended()
        for path in paths:
            logger.error("The worker ended while it loaded %s", path)
        return bool(paths)

    def _read_message(self, channel: Connection) -> None:
        """Handles one message of the worker; the loop calls this again for the next."""
        try:
            self._router.handle(channel, channel.recv())
        except (EOFError, OSError):
            self._close_channel()

    def _close_channel(self) -> None:
        if self._channel:
            self._router.remove(self._channel)
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None


async def _receive(channel: Connection) -> Message:
    """Returns the next message. Raises EOFError if the other process has ended."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(channel.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(channel.fileno())
    message: Message = channel.recv()
    return message
