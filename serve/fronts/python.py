"""The Python front: grpc.aio and uvicorn in one event loop. Runs on every platform."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import uvicorn
from starlette.types import ASGIApp

from serve.config import Config
from serve.core import Core
from serve.errors import Code, ServeError, from_unexpected
from serve.fronts.http_protocol import bounded_protocol
from serve.fronts.ports import GRPC_FLAG, REST_FLAG, Address, Ports, cannot_listen, shown_address
from serve.request.auth import Tls
from serve.startup.overview import Overview, curl_command, join_host_port
from serve.transport.grpc import AnyMethod, BidiMethod, Method, StreamMethod, method_table, parse_request
from serve.transport.grpc.method import ResponseMessage, status_message
from serve.transport.rest.app import RestApp
from serve.transport.rest.middleware import RestMiddleware

# A century, for --keep_alive_seconds=0: uvicorn has no setting for connections that stay open.
_NEVER_SECONDS = 100 * 365 * 86_400
_STATUS: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def make(config: Config) -> "PythonFront":
    if config.one_port:
        raise ServeError(Code.INVALID_ARGUMENT, "--one_port needs the native front: grpc.aio shares no port with HTTP.")
    if config.workers > 1:
        raise ServeError(Code.INVALID_ARGUMENT, "--workers needs the native front: --front=python is one process.")
    return PythonFront(config)


class PythonFront:
    """One process, one event loop, both protocols."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._core = Core(config)
        self._grpc: grpc.aio.Server | None = None
        self._rest: _RestServer | None = None
        self._draining: list[asyncio.Task[None]] = []
        self._ports = Ports()

    async def start(self) -> Overview:
        grpc_addresses, rest_addresses = self._reserve_ports()
        # In its own executor, not the loop's: a signal before the first model is loaded must not wait for this thread.
        await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), self._core.start)
        addresses: dict[str, str] = {}
        try:
            self._ports.release()
            await self._open_grpc(grpc_addresses, addresses)
            await self._open_rest(rest_addresses, addresses)
        except ServeError:
            await self.stop()
            raise
        return Overview(addresses, self._core.served_versions(), curl=curl_command(self._config))

    async def stop_accepting(self) -> None:
        self._core.api.health.drain()
        # A grace period longer than any drain: the caller decides when to stop waiting.
        if self._grpc:
            self._draining.append(asyncio.create_task(self._grpc.stop(grace=86_400)))
        if self._rest:
            self._draining.append(asyncio.create_task(self._rest.drain()))
        # Lets both close their listeners before the caller counts requests in flight.
        await asyncio.sleep(0)

    async def wait_idle(self) -> None:
        await asyncio.gather(*map(asyncio.shield, self._draining))

    async def stop(self) -> None:
        if self._grpc:
            await self._grpc.stop(grace=None)
        if self._rest:
            await self._rest.abort()
        for task in self._draining:
            task.cancel()
        await asyncio.to_thread(self._core.flush)

    def _reserve_ports(self) -> tuple[Sequence[Address], Sequence[Address]]:
        """Returns the addresses for gRPC and for REST, which no other program can take while the models are loaded."""
        config = self._config
        if config.grpc_socket_path:
            self._ports.reserve_socket(config.grpc_socket_path)
        return (
            self._ports.reserve("gRPC", config.host, config.port, GRPC_FLAG) if config.port else (),
            self._ports.reserve("REST", config.host, config.rest_api_port, REST_FLAG) if config.rest_api_port else (),
        )

    async def _open_grpc(self, reserved: Sequence[Address], addresses: dict[str, str]) -> None:
        if self._config.port == 0 and not self._config.grpc_socket_path:
            return
        server = grpc.aio.server(options=_grpc_options(self._config))
        server.add_generic_rpc_handlers(
            _generic_handlers(method_table(self._core.api, self._config, self._core.admission))
        )
        if self._config.grpc_socket_path:
            _bind_socket(server, self._config.grpc_socket_path)
            addresses["grpc_socket"] = self._config.grpc_socket_path
        for address in reserved:
            _bind(server, address, self._config.ssl_config_file)
        if reserved:
            port = reserved[0][1]
            addresses["grpc"] = shown_address(self._config.host, reserved)
            self._config = replace(self._config, port=port)  # shown on the web page
        await server.start()
        self._grpc = server

    async def _open_rest(self, reserved: Sequence[Address], addresses: dict[str, str]) -> None:
        if not reserved:
            return
        app = RestMiddleware(RestApp(self._core.api, self._config), self._core.admission, self._config)
        self._rest = _RestServer(app, [*map(_listen, reserved)], self._config)
        await self._rest.start()
        scheme = "https" if self._config.rest_ssl_config_file else "http"
        addresses["rest"] = f"{scheme}://{shown_address(self._config.host, reserved)}"


class _RestServer(uvicorn.Server):
    """uvicorn without signal handlers, on sockets that are already bound."""

    def __init__(self, app: ASGIApp, listeners: list[socket.socket], config: Config) -> None:
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            http=bounded_protocol(config),
            ws="none",
            timeout_keep_alive=config.keep_alive_seconds or _NEVER_SECONDS,
        )
        settings.load()
        if config.rest_ssl_config_file:
            # Set directly, because uvicorn itself accepts PEM files only.
            settings.ssl = Tls.read(config.rest_ssl_config_file).context()
        super().__init__(settings)
        self._listeners = listeners
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def start(self) -> None:
        self._task = asyncio.create_task(self.serve(sockets=self._listeners))
        while not self.started and not self._task.done():
            await asyncio.sleep(0.001)

    async def drain(self) -> None:
        """Closes the listener and idle connections, and waits for the requests in flight."""
        self.should_exit = True
        if self._task:
            await self._task

    async def abort(self) -> None:
        self.should_exit = self.force_exit = True
        if self._task:
            await self._task


def _grpc_options(config: Config) -> list[tuple[str, int | str]]:
    # Without so_reuseport=0, two servers on a port would silently share its requests. --max_body_bytes limits messages.
    options: dict[str, int | str] = {
        "grpc.so_reuseport": 0,
        "grpc.max_receive_message_length": config.max_body_bytes or -1,
        "grpc.max_send_message_length": -1,
    }
    for argument in filter(None, config.grpc_channel_arguments.split(",")):
        name, _, value = argument.partition("=")
        options[name.strip()] = int(value) if value.strip().lstrip("-").isdigit() else value.strip()
    return list(options.items())


def _generic_handlers(table: dict[str, AnyMethod]) -> list[grpc.GenericRpcHandler]:
    services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
    for path, method in table.items():
        _, service, name = path.split("/")
        services.setdefault(service, {})[name] = _rpc_method_handler(method)
    return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]


def _rpc_method_handler(method: AnyMethod) -> grpc.RpcMethodHandler:
    # Unary requests stay bytes here, so that a parse error becomes a status of ours and not a traceback in gRPC.
    if isinstance(method, Method):
        return grpc.unary_unary_rpc_method_handler(_guarded_handler(method), None, _serialize)
    if isinstance(method, StreamMethod):
        parse = partial(parse_request, method)
        return grpc.unary_stream_rpc_method_handler(_guarded_stream_handler(method, parse), None, _serialize)
    return grpc.stream_stream_rpc_method_handler(
        _guarded_stream_handler(method, _identity), method.rpc.request.FromString, _serialize
    )


def _serialize(response: ResponseMessage) -> bytes:
    return response.SerializeToString()


def _identity(request: Any) -> Any:
    return request


def _guarded_handler(method: Method) -> Callable[[bytes, grpc.aio.ServicerContext], Awaitable[ResponseMessage]]:
    """Returns a handler that turns a failure into a gRPC status."""

    async def call(request: bytes, context: grpc.aio.ServicerContext) -> ResponseMessage:
        try:
            return await method.handler(parse_request(method, request), context)
        except Exception as error:
            await _abort(context, method.rpc.name, error)
            raise  # not reached: gRPC's abort raises

    return call


def _guarded_stream_handler(
    method: StreamMethod | BidiMethod, parse: Callable[[Any], Any]
) -> Callable[[Any, grpc.aio.ServicerContext], AsyncIterator[ResponseMessage]]:
    async def call(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[ResponseMessage]:
        try:
            async for response in method.handler(parse(request), context):
                yield response
        except Exception as error:
            await _abort(context, method.rpc.name, error)

    return call


async def _abort(context: grpc.aio.ServicerContext, name: str, error: Exception) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    failure = error if isinstance(error, ServeError) else from_unexpected(error, name)
    await context.abort(_STATUS[failure.code], status_message(failure))


def _bind(server: grpc.aio.Server, address: Address, ssl_config_file: str) -> None:
    target = join_host_port(*address)
    try:
        if ssl_config_file:
            server.add_secure_port(target, _credentials(Tls.read(ssl_config_file)))
        else:
            server.add_insecure_port(target)
    except RuntimeError:  # another program has taken the port since it was released
        raise cannot_listen("gRPC", *address, GRPC_FLAG) from None


def _bind_socket(server: grpc.aio.Server, path: str) -> None:
    try:
        server.add_insecure_port(f"unix:{path}")
    except RuntimeError:
        raise ServeError(Code.UNAVAILABLE, f"Cannot listen for gRPC on the Unix socket {path}.") from None


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.server_key, tls.server_cert)],
        root_certificates=tls.custom_ca or None,
        require_client_auth=tls.client_verify,
    )


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:  # another program has taken the port since it was released
        listener.close()
        raise cannot_listen("REST", *address, REST_FLAG, error.strerror) from None
    return listener
