"""RestMiddleware: the admission as an ASGI application around the REST application, in every front.

It reads the body before the application is asked: what is too large, too slow or not allowed costs nothing further in.
"""

from collections.abc import Iterable, MutableMapping
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send

from serve.codec.json import text as json_text
from serve.config import Config
from serve.errors import Code, ServeError
from serve.request.admission import Admission
from serve.request.call_record import CallRecord
from serve.request.deadline import next_turn, with_context_if_suspended
from serve.transport.rest.app import RestApp, failure
from serve.transport.rest.message import Request, Response
from serve.transport.rest.status import HTTP_STATUS

# Probes carry no token and must be answered under load.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
MODELS = "/v1/models/"
ACTIONS = frozenset({"predict", "classify", "regress"})

# 413, 408 and 431 exist in HTTP only; whatever else fails has a neutral code, and its status comes from the table.
TOO_LARGE, TOO_SLOW, HEADERS_TOO_LARGE = 413, 408, 431

# On every answer, where the operator wants pages of other sites to ask.
CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
)


class RefusedError(Exception):
    """A request that is answered before the application sees it."""

    def __init__(self, status: int, message: str, code: Code = Code.RESOURCE_EXHAUSTED) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


class RestMiddleware:
    """Tokens, limits, deadline, metrics, logs and `x-request-id` for the application it wraps."""

    def __init__(self, app: RestApp, admission: Admission, config: Config) -> None:
        self._app = app
        self._admission = admission
        self._config = config
        timeouts = [config.rest_api_timeout_in_ms / 1e3, config.max_request_seconds]
        seconds = min((timeout for timeout in timeouts if timeout > 0), default=0.0)
        self._deadline = partial(admission.deadline, seconds)
        self._headers = CORS if config.rest_api_enable_cors_support else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        labels = path_labels(request.path)
        call = CallRecord("REST", labels.action, request.header("x-request-id"), partial(peer, scope))
        call.model = labels.model
        answered = False
        try:
            with self._admission.request_context(call, request.header, counted=labels.counted):
                answer = await self._answer(request, receive, call)
                events = await request.answered(answer, call.request_id, self._headers)
                # What else is ready is answered first: the front finds many answers at once, not one after the other.
                await next_turn()
                answered = True
                await with_context_if_suspended(_send(send, events), self._deadline)
        except ServeError as error:
            if answered:
                raise
            answer = refused(HTTP_STATUS[error.code], error.message)
            await _send(send, await request.answered(answer, call.request_id, self._headers))

    async def _answer(self, request: Request, receive: Receive, call: CallRecord) -> Response:
        try:
            self._admit(request)
            request.body = await self._body(request, receive)
            return await with_context_if_suspended(self._app.answer(request), self._deadline)
        except ServeError as error:
            call.failed(error.code, error.message)
            return failure(error)
        except RefusedError as refusal:
            call.failed(refusal.code, refusal.message)
            return refused(refusal.status, refusal.message)

    def _admit(self, request: Request) -> None:
        limit = self._config.max_header_bytes
        if limit and request.header_bytes > limit:
            raise RefusedError(HEADERS_TOO_LARGE, f"The headers are larger than {limit} bytes")
        try:
            if request.path not in OPEN_PATHS:
                # A browser sends no token with the question whether it may send one.
                if request.method != "OPTIONS":
                    self._admission.authorize(request.header)
                self._admission.admit()
        except ServeError as error:
            raise RefusedError(HTTP_STATUS[error.code], error.message, error.code) from None

    async def _body(self, request: Request, receive: Receive) -> bytes:
        limit = self._config.max_body_bytes
        announced = request.headers.get(b"content-length", b"")
        if limit and announced.isdigit() and int(announced) > limit:
            raise too_large(limit)
        chunks: list[bytes] = []
        size = 0
        seconds = self._config.max_idle_seconds
        try:
            with self._admission.deadline(seconds) as patience:
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise RefusedError(HTTP_STATUS[Code.CANCELLED], "The client went away", Code.CANCELLED)
                    chunk: bytes = event.get("body", b"")
                    size += len(chunk)
                    if limit and size > limit:
                        raise too_large(limit)
                    if not event.get("more_body", False):
                        return b"".join([*chunks, chunk]) if chunks else chunk
                    chunks.append(chunk)
                    patience.restart()
        except ServeError:
            raise RefusedError(TOO_SLOW, f"Nothing more of the request came for {seconds:g} s") from None


class PathLabels(NamedTuple):
    """What a path says to those who count."""

    # predict, classify or regress; empty for anything else, as upstream labels it
    action: str
    # Empty if none is named.
    model: str
    # Whether upstream counts requests of this kind.
    counted: bool


# A few paths are asked for again and again.
@lru_cache(1024)
def path_labels(path: str) -> PathLabels:
    """Of a path as it was sent."""
    last = path.rpartition(":")[2]
    counted = path.startswith(MODELS)
    model = unquote(path[len(MODELS) :].partition("/")[0].partition(":")[0]) if counted else ""
    return PathLabels(last if last in ACTIONS else "", model, counted)


async def _send(send: Send, events: Iterable[MutableMapping[str, Any]]) -> None:
    for event in events:
        await send(event)


def refused(status: int, message: str) -> Response:
    """An answer without the application. The connection ends with it: the body may not have been read."""
    headers = {"connection": "close", **({"www-authenticate": "Bearer"} if status == 401 else {})}
    return Response(json_text.error(message), status=status, headers=headers)


def too_large(limit: int) -> RefusedError:
    return RefusedError(TOO_LARGE, f"The request body is larger than {limit} bytes (--max_body_bytes)")


def peer(scope: Scope) -> str:
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "unix:"
