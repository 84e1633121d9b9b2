"""The program inside Envoy: pyvoy imports this module, and calls `app` for every request."""

import asyncio
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Coroutine, Mapping
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from serve import logs
from serve.config import Config
from serve.core import Core
from serve.errors import ServeError
from serve.fronts.native import interpreter
from serve.fronts.native.channel import DESCRIPTOR_VARIABLE, FOLDER_VARIABLE, Drain, Failed, Loaded
from serve.transport.grpc import AnyMethod, method_table
from serve.transport.grpc_asgi import GrpcApp
from serve.transport.rest.guard import Guard


class Worker:
    """The models and both protocols over them, in the event loop that pyvoy runs."""

    # What pyvoy looks for before it calls an object that is no coroutine function itself.
    _asgi_single_callable = True

    def __init__(self, channel: Connection, runtime: Path) -> None:
        self._channel = channel
        self._runtime = runtime
        self._methods: Mapping[str, AnyMethod] = {}
        self._grpc = GrpcApp({})
        self._rest: ASGIApp = _no_rest

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Not a coroutine function, but what it returns is one's: a step less on every request."""
        if scope["type"] == "lifespan":
            return self._lifespan(receive, send)
        if scope["path"] in self._methods or _is_grpc(scope):
            return self._grpc(scope, receive, send)
        return self._rest(scope, receive, send)  # type: ignore[return-value]  # an application is a coroutine function

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        config: Config = self._channel.recv()
        logs.setup(config.log_format, config.log_level)
        try:
            core = Core(config)
            threading.Thread(target=self._listen, args=(core,), name="channel", daemon=True).start()
            self._open(core, config)
            await asyncio.to_thread(core.start)
        except ServeError as error:
            self._channel.send(Failed(error))
            # Envoy would only add that it could not start.
            os._exit(1)
        self._channel.send(Loaded(core.served_versions()))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(core.stop)
        logging.shutdown()
        # Libraries that count on the interpreter's own end complain about Envoy's; nothing is left to do.
        os._exit(0)

    def _open(self, core: Core, config: Config) -> None:
        if config.port or config.grpc_socket_path:
            self._methods = method_table(core.api, config, core.edge)
            self._grpc = GrpcApp(self._methods, max_message_bytes=config.max_body_bytes or 2**32)
        if (config.rest_api_port or config.one_port) and find_spec("serve.transport.rest.app"):
            make_app = import_module("serve.transport.rest.app").make_app
            self._rest = Guard(make_app(core.api, config), core.edge, config)

    def _listen(self, core: Core) -> None:
        try:
            while True:
                if isinstance(self._channel.recv(), Drain):
                    core.api.health.drain()
        except (EOFError, OSError):
            # The server's process is gone, however it went: nobody else would end this one.
            shutil.rmtree(self._runtime, ignore_errors=True)
            os.kill(os.getpid(), signal.SIGKILL)


def _is_grpc(scope: Scope) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/grpc") for name, value in scope["headers"])


async def _no_rest(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"error": "This server answers gRPC only."}'})


def _started_by_pyvoy() -> Worker:
    """Undo what the start of Envoy needed, so that models and the programs they start meet an ordinary Python."""
    runtime = Path.cwd()
    # pyvoy's own entry: the working folder, which was a private one until here.
    sys.path.remove(".")
    os.chdir(os.environ.pop(FOLDER_VARIABLE))
    for variable in interpreter.VARIABLES:
        os.environ.pop(variable, None)
    return Worker(Connection(int(os.environ.pop(DESCRIPTOR_VARIABLE))), runtime)


app = _started_by_pyvoy()
