"""A server without a process and without a socket: its applications run in this process, in a separate thread.

Everything between the transport and the model is the product's own code: admission, REST and gRPC over ASGI, API,
model manager, engines. Only the HTTP parser (uvicorn, Envoy) and gRPC's own server are missing. `InMemoryServer` has
the same methods as `tests.support.server.RunningServer`, so the clients in `protocols.py` and `example_protocols.py`,
and the stubs of tensorflow-serving-api, work with both.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import grpc
import uvloop

from serve.config import Config
from serve.core import Core
from serve.flags import parse
from serve.transport.grpc import method_table
from serve.transport.grpc_asgi import GrpcApp
from serve.transport.rest.app import RestApp
from serve.transport.rest.middleware import RestMiddleware
from tests.support.rest import Reply, header_fields
from tests.support.server import version_states
from tfx_export.client import Client

T = TypeVar("T")
Event = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]

# Seconds that a call without a timeout may take.
PATIENCE = 180.0
# The flag byte and the size of a gRPC message.
FRAME_HEADER = 5
CODES = {code.value[0]: code for code in grpc.StatusCode}


class InMemoryServer:
    """The core of a server and both ASGI applications over it."""

    def __init__(self, config: Config) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="in-memory server", daemon=True)
        self._thread.start()
        self._core, self._grpc, self._rest = self._run(self._start(config))

    @property
    def client(self) -> Client:
        """A client over this server's channel."""
        return _InMemoryClient(self.channel())

    def channel(self) -> grpc.Channel:
        """Returns a gRPC channel to the server."""
        return InMemoryChannel(self._call_grpc)

    def request(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Reply:
        """Sends an HTTP request. The argument `content_encoding="gzip"` becomes a header."""
        raw = body.encode() if isinstance(body, str) else body or b""
        fields = {"host": "in-memory", "content-length": str(len(raw)), **header_fields(headers)}
        url = urlsplit(path)
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(url.path),
            "raw_path": path.encode(),
            "query_string": url.query.encode(),
            "headers": _encoded(fields.items()),
            "client": ("127.0.0.1", 1),
        }
        events = self._run(_exchange(self._rest, scope, raw))
        response = {name.decode(): value.decode("latin-1") for name, value in events[0]["headers"]}
        return Reply(events[0]["status"], response, b"".join(event.get("body", b"") for event in events[1:]))

    def post(self, path: str, content: Any, **headers: str) -> Reply:
        """Sends `content` as JSON with POST."""
        return self.request("POST", path, json.dumps(content), **headers)

    def states(self, model: str) -> dict[int, str]:
        """Returns the state of each version by its number; empty for an unknown model."""
        return version_states(self.client, model)

    def stop(self) -> None:
        """Unloads the models and ends the thread."""
        self._run(asyncio.to_thread(self._core.stop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _start(self, config: Config) -> tuple[Core, GrpcApp, RestMiddleware]:
        core = Core(config)
        methods = method_table(core.api, config, core.admission)
        grpc_app = GrpcApp(methods, max_message_bytes=config.max_body_bytes or 2**32)
        rest_app = RestMiddleware(RestApp(core.api, config), core.admission, config)
        await asyncio.to_thread(core.start)
        return core, grpc_app, rest_app

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def _call_grpc(self, path: str, message: bytes, headers: Headers) -> list[Event]:
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "client": ("127.0.0.1", 1)}
        return self._run(_exchange(self._grpc, scope, bytes(1) + len(message).to_bytes(4, "big") + message))


@contextlib.contextmanager
def in_memory(*flags: str) -> Iterator[InMemoryServer]:
    """An in-memory server with the flags of `python -m serve`; it is stopped when the `with` ends."""
    config, notes = parse(flags)
    assert not notes, notes
    server = InMemoryServer(config)
    try:
        yield server
    finally:
        server.stop()


class InMemoryChannel(grpc.Channel):  # type: ignore[misc]  # grpc has no types
    """A gRPC channel that calls the server's application directly. Unary requests only."""

    def __init__(self, call: Callable[[str, bytes, Headers], list[Event]]) -> None:
        self._call = call

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered: Any = None
    ) -> Callable[..., Any]:
        """Returns a function that sends one message and returns the response. It raises InMemoryRpcError."""

        def call(request: Any, timeout: float | None = None, metadata: Any = (), **_: Any) -> Any:
            (message,) = self._exchange(method, _apply(request_serializer, request), timeout, metadata)
            return _apply(response_deserializer, message)

        return call

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, _registered: Any = None
    ) -> Callable[..., Iterator[Any]]:
        """Returns a function that sends one message and returns all responses. It raises InMemoryRpcError."""

        def call(request: Any, timeout: float | None = None, metadata: Any = (), **_: Any) -> Iterator[Any]:
            messages = self._exchange(method, _apply(request_serializer, request), timeout, metadata)
            return iter([_apply(response_deserializer, message) for message in messages])

        return call

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        """Not supported."""
        raise NotImplementedError

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        """Not supported until it is called: stubs prepare all methods of a service."""
        return self.stream_unary

    def subscribe(self, callback: Any, try_to_connect: bool | None = False) -> None:
        """Does nothing: the channel is always ready."""

    def unsubscribe(self, callback: Any) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing: no connection is open."""

    def __enter__(self) -> "InMemoryChannel":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _exchange(self, path: str, message: bytes, timeout: float | None, metadata: Any) -> list[bytes]:
        headers = _encoded([("content-type", "application/grpc"), *(metadata or ())])
        if timeout is not None:
            headers.append((b"grpc-timeout", b"%dm" % (timeout * 1000)))
        events = self._call(path, message, headers)
        trailers = {name.decode(): value.decode("latin-1") for name, value in events[-1]["headers"]}
        code = CODES[int(trailers["grpc-status"])]
        if code is not grpc.StatusCode.OK:
            raise InMemoryRpcError(code, unquote(trailers.get("grpc-message", "")))
        return [event["body"][FRAME_HEADER:] for event in events if event.get("body")]


class InMemoryRpcError(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    """A status other than OK, with the methods of the errors that gRPC's own channels raise."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        """Returns the status code."""
        return self._code

    def details(self) -> str:
        """Returns the status message."""
        return self._details


class _InMemoryClient(Client):
    """The product's client over an in-memory channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        super().__init__("in-memory")
        self._channel.close()
        self._channel = channel


async def _exchange(app: Callable[..., Coroutine[Any, Any, None]], scope: Event, body: bytes) -> list[Event]:
    """Sends one request to an ASGI application and returns the events of its response."""
    requests: list[Event] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Event] = []

    async def receive() -> Event:
        if not requests:
            # The client stays until the response is complete.
            await asyncio.Event().wait()
        return requests.pop()

    async def send(event: Event) -> None:
        sent.append(event)

    await app(scope, receive, send)
    return sent


def _encoded(fields: Any) -> Headers:
    return [
        (name.lower().encode(), value if isinstance(value, bytes) else str(value).encode("latin-1"))
        for name, value in fields
    ]


def _apply(function: Callable[[Any], Any] | None, value: Any) -> Any:
    return function(value) if function else value
