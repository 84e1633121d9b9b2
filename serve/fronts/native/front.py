"""The native front, in the server's own process: it starts Envoy with a worker inside, watches it, and ends it."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from serve.config import Config
from serve.errors import Code, ServeError
from serve.fronts.native import interpreter
from serve.fronts.native.bootstrap import Door, bootstrap
from serve.fronts.native.channel import Drain, Failed, Loaded
from serve.fronts.native.envoy import Envoy
from serve.fronts.native.ports import Ports, joined
from serve.overview import Overview, ServedVersion
from serve.security import Tls

logger = logging.getLogger("serve")

APP = "serve.fronts.native.worker:app"
# A worker that dies sooner than this after its start is not replaced before as much time has passed.
SHORT_LIFE_SECONDS = 5.0


class NativeFront:
    """Envoy carries both protocols; the Python inside it holds the models."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ports = Ports()
        self._runtime = Path(tempfile.mkdtemp(prefix="tfx-export-front-"))
        self._configuration: dict[str, Any] = {}
        self._envoy: Envoy | None = None
        self._channel: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> Overview:
        try:
            addresses: dict[str, str] = {}
            doors = self._open_doors(addresses)
            self._configuration = bootstrap(
                doors, config=self._config, app=APP, module=interpreter.module(), runtime=self._runtime
            )
            versions = await self._start_worker()
        except BaseException:
            await self.stop()
            raise
        self._keeper = asyncio.create_task(self._keep())
        return Overview(addresses, versions)

    async def stop_accepting(self) -> None:
        if self._keeper:
            self._keeper.cancel()
        if self._channel:
            with contextlib.suppress(OSError):
                self._channel.send(Drain())
        if self._envoy:
            await self._envoy.stop_accepting()

    async def wait_idle(self) -> None:
        if self._envoy:
            await self._envoy.wait_idle()

    async def stop(self) -> None:
        if self._keeper:
            self._keeper.cancel()
        if self._envoy:
            await self._envoy.stop()
        if self._channel:
            self._channel.close()
        self._ports.close()
        shutil.rmtree(self._runtime, ignore_errors=True)

    def _open_doors(self, addresses: dict[str, str]) -> list[Door]:
        config = self._config
        grpc_tls = Tls.read(config.ssl_config_file) if config.ssl_config_file else None
        rest_tls = Tls.read(config.rest_ssl_config_file) if config.rest_ssl_config_file else None
        doors = []
        if config.grpc_socket_path:
            doors.append(Door("grpc", (self._ports.take_socket(config.grpc_socket_path),)))
            addresses["grpc_socket"] = config.grpc_socket_path
        if config.port:
            taken = self._ports.take("gRPC", config.host, config.port, "--port")
            door = Door("grpc", taken, grpc_tls)
            doors.append(door)
            addresses["grpc"] = joined(config.host, door.port)
        if config.one_port and config.port:
            addresses["rest"] = f"{'https' if grpc_tls else 'http'}://{addresses['grpc']}"
        elif config.rest_api_port:
            taken = self._ports.take("REST", config.host, config.rest_api_port, "--rest_api_port")
            door = Door("rest", taken, rest_tls)
            doors.append(door)
            addresses["rest"] = f"{'https' if rest_tls else 'http'}://{joined(config.host, door.port)}"
        return doors

    async def _start_worker(self) -> tuple[ServedVersion, ...]:
        """Start Envoy and wait until it serves. Raises ServeError if it ends before, or has nothing to serve."""
        ours, theirs = Pipe()
        if self._channel:
            self._channel.close()
        self._channel = ours
        with theirs:
            self._envoy = await Envoy.start(self._configuration, theirs, self._runtime)
        try:
            ours.send(self._config)
            message = await _receive(ours)
        except (EOFError, OSError):
            raise ServeError(Code.UNAVAILABLE, await self._envoy.end()) from None
        if isinstance(message, Failed):
            raise message.error
        assert isinstance(message, Loaded)
        await self._envoy.wait_open()
        return message.versions

    async def _keep(self) -> None:
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
