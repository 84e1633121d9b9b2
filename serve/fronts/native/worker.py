"""The program inside Envoy: pyvoy imports this module, and calls `app` for every request."""

import asyncio
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Coroutine, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from serve import logs
from serve.config import Config
from serve.core import Core
from serve.errors import Code, ServeError
from serve.execution.affinity import keep_to
from serve.fronts.native import embedded_python
from serve.fronts.native.loop import Loop, Policy
from serve.fronts.native.worker_messages import (
    DESCRIPTOR_VARIABLE,
    FOLDER_VARIABLE,
    PROCESSOR_VARIABLE,
    ChannelPeers,
    Drain,
    Failed,
    Loaded,
    PeerReplies,
    PeerReply,
    PeerRequest,
    Start,
)
from serve.transport.grpc import AnyMethod, method_table
from serve.transport.grpc_asgi import GrpcApp
from serve.transport.rest.app import RestApp
from serve.transport.rest.guard import Guard

logger = logging.getLogger("serve")


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
        self._sending = threading.Lock()
        self._peers = ChannelPeers(self._send)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Not a coroutine function, but what it returns is one's: a step less on every request."""
        if scope["type"] == "lifespan":
            return self._lifespan(receive, send)
        self._loop.count_request()
        if scope["path"] in self._methods or _is_grpc(scope):
            return self._grpc(scope, receive, send)
        return self._rest(scope, receive, send)  # type: ignore[return-value]  # an application is a coroutine function

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        self._loop = cast("Loop", asyncio.get_running_loop())
        await receive()
        start: Start = self._channel.recv()
        config = start.config
        logs.setup(config.log_format, config.log_level)
        try:
            core = Core(config, self._peers)
            threading.Thread(target=self._listen, args=(core,), name="channel", daemon=True).start()
            self._open(core, config)
            await asyncio.to_thread(core.start, start.reloaded_config)
        except ServeError as error:
            self._send(Failed(error))
            # Envoy would only add that it could not start.
            os._exit(1)
        self._send(Loaded(core.served_versions()))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(core.stop)
        logging.shutdown()
        # Libraries that count on the interpreter's own end complain about Envoy's; nothing is left to do.
        os._exit(0)

    def _open(self, core: Core, config: Config) -> None:
        if config.port or config.grpc_socket_path:
            self._methods = method_table(core.api, config, core.admission)
            self._grpc = GrpcApp(self._methods, max_message_bytes=config.max_body_bytes or 2**32)
        if config.rest_api_port or config.one_port:
            self._rest = Guard(RestApp(core.api, config), core.admission, config)

    def _listen(self, core: Core) -> None:
        try:
            while True:
                match self._channel.recv():
                    case Drain():
                        core.api.health.drain()
                    case PeerReplies() as answers:
                        self._peers.answered(answers)
                    case PeerRequest() as question:
                        # It may take as long as a model takes to load.
                        threading.Thread(target=self._answer, args=(core, question), daemon=True).start()
        except (EOFError, OSError):
            # The server's process is gone, however it went: nobody else would end this one.
            shutil.rmtree(self._runtime, ignore_errors=True)
            os.kill(os.getpid(), signal.SIGKILL)

    def _answer(self, core: Core, question: PeerRequest) -> None:
        try:
            value = getattr(core.peer_handler, question.method)(*question.arguments)
        except ServeError as error:
            value = error
        except Exception as error:
            logger.exception("%s, asked by another worker, failed", question.method)
            value = ServeError(Code.INTERNAL, f"{type(error).__name__} in a worker; see the log")
        self._send(PeerReply(question.number, value))

    def _send(self, message: Any) -> None:
        with self._sending:
            self._channel.send(message)


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
    for variable in embedded_python.VARIABLES:
        os.environ.pop(variable, None)
    processor = os.environ.pop(PROCESSOR_VARIABLE, None)
    if processor:
        # Envoy's main thread, which starts all threads that matter.
        keep_to(int(processor))
    asyncio.set_event_loop_policy(Policy())
    return Worker(Connection(int(os.environ.pop(DESCRIPTOR_VARIABLE))), runtime)


app = _started_by_pyvoy()
