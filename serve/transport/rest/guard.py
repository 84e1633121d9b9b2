"""Guard: the edge as ASGI middleware. Outermost around the REST application, in every front.

It reads the body before the application is called: what is too large, too slow or not allowed costs nothing further in.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.call import Call
from serve.config import Config
from serve.eager import eager
from serve.edge import Edge
from serve.errors import Code, ServeError
from serve.transport.rest.status import HTTP_STATUS

# Probes carry no token and must be answered under load.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
MODELS = "/v1/models/"
ACTIONS = frozenset({"predict", "classify", "regress"})

# 413, 408 and 431 exist in HTTP only; whatever else fails has a neutral code, and its status comes from the table.
TOO_LARGE, TOO_SLOW, HEADERS_TOO_LARGE = 413, 408, 431


class RefusedError(Exception):
    """A request that is answered before the application sees it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Guard:
    """Tokens, limits, deadline, metrics, logs and `x-request-id` for the application it wraps."""

    def __init__(self, app: ASGIApp, edge: Edge, config: Config) -> None:
        self._app = app
        self._edge = edge
        self._config = config
        timeouts = [config.rest_api_timeout_in_ms / 1e3, config.max_request_seconds]
        self._seconds = min((timeout for timeout in timeouts if timeout > 0), default=0.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope)
        path = scope["path"]
        call = Call("REST", action(path), headers.request_id, lambda: peer(scope))
        call.model = model(path)
        answer = Answer(send, call)
        try:
            with self._edge.passing(call, counted=path.startswith(MODELS), traceparent=headers.traceparent):
                await self._answer(scope, headers, receive, answer)
        except ServeError as error:
            if answer.started:
                raise
            await answer.error(HTTP_STATUS[error.code], error.message)

    async def _answer(self, scope: Scope, headers: "Headers", receive: Receive, answer: "Answer") -> None:
        try:
            if self._config.max_header_bytes and headers.size > self._config.max_header_bytes:
                raise RefusedError(
                    HEADERS_TOO_LARGE, f"The headers are larger than {self._config.max_header_bytes} bytes"
                )
            if scope["path"] not in OPEN_PATHS:
                # A browser sends no token with the question whether it may send one.
                if scope["method"] != "OPTIONS":
                    self._edge.authorize(headers.authorization)
                self._edge.admit()
            body = await self._body(headers, receive)
        except RefusedError as refusal:
            answer.call.failed(Code.RESOURCE_EXHAUSTED, refusal.message)
            await answer.error(refusal.status, refusal.message)
            return
        await eager(self._app(scope, once(body, receive), answer), partial(self._edge.deadline, self._seconds))

    async def _body(self, headers: "Headers", receive: Receive) -> bytes:
        limit = self._config.max_body_bytes
        if limit and headers.content_length > limit:
            raise too_large(limit)
        chunks: list[bytes] = []
        size = 0
        while True:
            event = await self._within_idle(receive)
            if event["type"] == "http.disconnect":
                raise ServeError(Code.CANCELLED, "The client went away")
            chunk = event.get("body", b"")
            size += len(chunk)
            if limit and size > limit:
                raise too_large(limit)
            if not event.get("more_body", False):
                return b"".join([*chunks, chunk]) if chunks else chunk
            chunks.append(chunk)

    async def _within_idle(self, receive: Receive) -> Any:
        seconds = self._config.max_idle_seconds
        try:
            with self._edge.deadline(seconds):
                return await receive()
        except ServeError:
            raise RefusedError(TOO_SLOW, f"Nothing more of the request came for {seconds:g} s") from None


class Headers:
    """The request headers that the guard reads, found in one pass."""

    __slots__ = ("authorization", "content_length", "request_id", "size", "traceparent")

    def __init__(self, scope: Scope) -> None:
        self.authorization: str | None = None
        self.request_id: str | None = None
        self.traceparent: str | None = None
        self.content_length = 0
        self.size = 0
        for name, value in scope["headers"]:
            self.size += len(name) + len(value)
            if name == b"x-request-id":
                self.request_id = value.decode("latin-1")
            elif name == b"authorization":
                self.authorization = value.decode("latin-1")
            elif name == b"traceparent":
                self.traceparent = value.decode("latin-1")
            elif name == b"content-length" and value.isdigit():
                self.content_length = int(value)


class Answer:
    """`send`, with the request id added to the headers."""

    __slots__ = ("_send", "call", "started")

    def __init__(self, send: Send, call: Call) -> None:
        self._send = send
        self.call = call
        self.started = False

    async def __call__(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self.started = True
            event = {**event, "headers": [*event.get("headers", ()), (b"x-request-id", self.call.request_id.encode())]}
        await self._send(event)

    async def error(self, status: int, message: str) -> None:
        """An answer without the application. The connection ends with it: the body may not have been read."""
        body = orjson.dumps({"error": message})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def once(body: bytes, receive: Receive) -> Callable[[], Awaitable[Any]]:
    """A `receive` that gives the whole body first; then what the server says, i.e. that the client has left."""
    event: dict[str, Any] | None = {"type": "http.request", "body": body, "more_body": False}

    async def next_event() -> Any:
        nonlocal event
        if event is None:
            return await receive()
        first, event = event, None
        return first

    return next_event


def too_large(limit: int) -> RefusedError:
    return RefusedError(TOO_LARGE, f"The request body is larger than {limit} bytes (--max_body_bytes)")


def action(path: str) -> str:
    """`predict`, `classify` or `regress`; empty for anything else, as upstream labels it."""
    last = path.rpartition(":")[2]
    return last if last in ACTIONS else ""


def model(path: str) -> str:
    """The model a path names; empty if it names none."""
    if not path.startswith(MODELS):
        return ""
    return path[len(MODELS) :].partition("/")[0].partition(":")[0]


def peer(scope: Scope) -> str:
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "unix:"
