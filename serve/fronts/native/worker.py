"""The worker: the models and both protocols in the Python inside Envoy. pyvoy calls it for every request."""

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
from serve.errors import ServeError, from_unexpected
from serve.execution.affinity import pin_thread
from serve.fronts.native import embedded_python
from serve.fronts.native.loop import Loop, LoopPolicy
from serve.fronts.native.worker_messages import (
    DESCRIPTOR_VARIABLE,
    FOLDER_VARIABLE,
    PROCESSOR_VARIABLE,
    ChannelPeers,
    Drain,
    Failed,
    Loaded,
    Message,
    PeerReplies,
    PeerReply,
    PeerRequest,
    Start,
)
from serve.lifecycle.quarantine import LoadingMarks
from serve.transport.grpc import AnyMethod, method_table
from serve.transport.grpc_asgi import GrpcApp
from serve.transport.rest.app import RestApp
from serve.transport.rest.middleware import RestMiddleware


class Worker:
    """An ASGI application: the models and both protocols over them, in the event loop that pyvoy runs."""

    # pyvoy requires this of an application that is not itself a coroutine function.
    _asgi_single_callable = True

    def __init__(self, channel: Connection, runtime: Path) -> None:
        """`channel` leads to the server process; `runtime` is the private folder of this Envoy."""
        self._channel = channel
        self._runtime = runtime
        self._methods: Mapping[str, AnyMethod] = {}
        self._grpc = GrpcApp({})
        self._rest: ASGIApp = _no_rest
        self._sending = threading.Lock()
        self._peers = ChannelPeers(self._send)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Returns the coroutine that answers. Not a coroutine function itself: that saves a step on every request."""
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
            core = Core(config, self._peers, LoadingMarks(start.marks, start.quarantined))
            threading.Thread(target=self._read_messages, args=(core,), name="channel", daemon=True).start()
            self._build_applications(core, config)
            await asyncio.to_thread(core.start, start.reloaded_config)
        except Exception as error:
            self._send(Failed(error if isinstance(error, ServeError) else from_unexpected(error, "The start")))
            # An ordinary return would only make Envoy log that it could not start.
            os._exit(1)
        self._send(Loaded(core.served_versions()))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(core.stop)
        logging.shutdown()
        # Nothing is left to do, and libraries that expect an interpreter shutdown complain about Envoy's exit.
        os._exit(0)

    def _build_applications(self, core: Core, config: Config) -> None:
        if config.port or config.grpc_socket_path:
            self._methods = method_table(core.api, config, core.admission)
            self._grpc = GrpcApp(self._methods, max_message_bytes=config.max_body_bytes or 2**32)
        if config.rest_api_port or config.one_port:
            self._rest = RestMiddleware(RestApp(core.api, config), core.admission, config)

    def _read_messages(self, core: Core) -> None:
        """Handles the messages of the server process, in a thread, until that process ends."""
        try:
            while True:
                match self._channel.recv():
                    case Drain():
                        core.api.health.drain()
                    case PeerReplies() as replies:
                        self._peers.resolve(replies)
                    case PeerRequest() as request:
                        # In its own thread: it may take as long as loading a model.
                        threading.Thread(target=self._answer_peer, args=(core, request), daemon=True).start()
        except (EOFError, OSError):
            # The server process has ended, perhaps killed: nothing else would end this worker.
            shutil.rmtree(self._runtime, ignore_errors=True)
            os.kill(os.getpid(), signal.SIGKILL)

    def _answer_peer(self, core: Core, request: PeerRequest) -> None:
        try:
            value = getattr(core.peer_handler, request.method)(*request.arguments)
        except ServeError as error:
            value = error
        except Exception as error:
            value = from_unexpected(error, f"{request.method}, called by another worker,", "in a worker; see the log")
        self._send(PeerReply(request.number, value))

    def _send(self, message: Message) -> None:
        with self._sending:
            self._channel.send(message)


def start_in_envoy() -> Worker:
    """Returns the worker of this process. Call it once, in the Python inside Envoy (see `pyvoy_app`).

    It undoes what the start of Envoy needed, so that models and the programs they start see an ordinary Python: it
    changes the working folder, the module path, the environment, the event loop policy and the processor affinity.
    """
    runtime = Path.cwd()
    # pyvoy added the working folder, which is a private one until here.
    sys.path.remove(".")
    os.chdir(os.environ.pop(FOLDER_VARIABLE))
    for variable in embedded_python.VARIABLES:
        os.environ.pop(variable, None)
    processor = os.environ.pop(PROCESSOR_VARIABLE, None)
    if processor:
        # This is Envoy's main thread. The threads it starts from here on inherit the affinity; they carry the requests.
        pin_thread(int(processor))
    asyncio.set_event_loop_policy(LoopPolicy())
    return Worker(Connection(int(os.environ.pop(DESCRIPTOR_VARIABLE))), runtime)


def _is_grpc(scope: Scope) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/grpc") for name, value in scope["headers"])


async def _no_rest(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"error": "This server answers gRPC only."}'})
