"""RestMiddleware: the ASGI application around the REST application, in every front.

It reads the body first, so that a request that is too large, too slow or not allowed does not reach the application.
"""

from collections.abc import Iterable
from functools import lru_cache, partial
from typing import NamedTuple
from urllib.parse import unquote

from starlette.types import Message, Receive, Scope, Send

from serve.codec.json import text as json_text
from serve.config import Config
from serve.errors import Code, ServeError
from serve.request.admission import Admission
from serve.request.call_record import CallRecord
from serve.request.deadline import next_turn, with_context_if_suspended
from serve.transport.rest.app import RestApp, error_response
from serve.transport.rest.message import Request, Response
from serve.transport.rest.status import HTTP_STATUS

# Health probes send no token and must be answered under load.
PROBE_PATHS = frozenset({"/healthz", "/readyz"})
MODELS = "/v1/models/"
ACTIONS = frozenset({"predict", "classify", "regress"})

# Statuses that only HTTP has. All other errors have a neutral code, whose status is in HTTP_STATUS.
TOO_LARGE, TOO_SLOW, HEADERS_TOO_LARGE = 413, 408, 431

# Headers of every response if the operator lets pages of other sites send requests.
CORS_HEADERS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
)


class RefusedError(Exception):
    """A request that is refused before it reaches the application."""

    def __init__(self, status: int, message: str, code: Code = Code.RESOURCE_EXHAUSTED) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


class RestMiddleware:
    """Adds tokens, limits, deadline, metrics, logs and `x-request-id` to the application that it wraps."""

    def __init__(self, app: RestApp, admission: Admission, config: Config) -> None:
        self._app = app
        self._admission = admission
        self._config = config
        timeouts = [config.rest_api_timeout_in_ms / 1e3, config.max_request_seconds]
        seconds = min((timeout for timeout in timeouts if timeout > 0), default=0.0)
        self._deadline = partial(admission.deadline, seconds)
        self._headers = CORS_HEADERS if config.rest_api_enable_cors_support else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        labels = path_labels(request.path)
        call = CallRecord("REST", labels.action, request.header("x-request-id"), partial(peer, scope))
        call.model = labels.model
        sending = False
        try:
            with self._admission.request_context(call, request.header, counted=labels.counted):
                response = await self._respond(request, receive, call)
                events = await request.response_events(response, call.request_id, self._headers)
                # Other requests that are ready are computed first, so that the front gets many responses at once.
                await next_turn()
                sending = True
                await with_context_if_suspended(_send(send, events), self._deadline)
        except ServeError as error:
            if sending:
                raise
            response = refusal(HTTP_STATUS[error.code], error.message)
            await _send(send, await request.response_events(response, call.request_id, self._headers))

    async def _respond(self, request: Request, receive: Receive, call: CallRecord) -> Response:
        try:
            self._admit(request)
            request.body = await self._read_body(request, receive)
            return await with_context_if_suspended(self._app.respond(request), self._deadline)
        except ServeError as error:
            call.failed(error.code, error.message)
            return error_response(error)
        except RefusedError as error:
            call.failed(error.code, error.message)
            return refusal(error.status, error.message)

    def _admit(self, request: Request) -> None:
        limit = self._config.max_header_bytes
        if limit and request.header_bytes > limit:
            raise RefusedError(HEADERS_TOO_LARGE, f"The headers are larger than {limit} bytes")
        try:
            if request.path not in PROBE_PATHS:
                # A browser sends no token with a preflight request.
                if request.method != "OPTIONS":
                    self._admission.authorize(request.header)
                self._admission.admit()
        except ServeError as error:
            raise RefusedError(HTTP_STATUS[error.code], error.message, error.code) from None

    async def _read_body(self, request: Request, receive: Receive) -> bytes:
        limit = self._config.max_body_bytes
        announced = request.headers.get(b"content-length", b"")
        if limit and announced.isdigit() and int(announced) > limit:
            raise too_large(limit)
        chunks: list[bytes] = []
        size = 0
        seconds = self._config.max_idle_seconds
        try:
            with self._admission.deadline(seconds) as idle_deadline:
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
                    idle_deadline.restart()
        except ServeError:
            raise RefusedError(TOO_SLOW, f"No more of the request was received for {seconds:g} s") from None


class PathLabels(NamedTuple):
    """The labels of a path for metrics and logs."""

    # predict, classify or regress; empty for other paths, as TensorFlow Serving labels them.
    action: str
    # Empty if the path names no model.
    model: str
    # Whether TensorFlow Serving counts requests of this kind.
    counted: bool


# Clients use a few paths over and over.
@lru_cache(1024)
def path_labels(path: str) -> PathLabels:
    """Returns the labels of a path as it was sent."""
    last = path.rpartition(":")[2]
    counted = path.startswith(MODELS)
    model = unquote(path[len(MODELS) :].partition("/")[0].partition(":")[0]) if counted else ""
    return PathLabels(last if last in ACTIONS else "", model, counted)


async def _send(send: Send, events: Iterable[Message]) -> None:
    for event in events:
        await send(event)


def refusal(status: int, message: str) -> Response:
    """Returns a response that closes the connection, because the body may not have been read."""
    headers = {"connection": "close", **({"www-authenticate": "Bearer"} if status == 401 else {})}
    return Response(json_text.error(message), status=status, headers=headers)


def too_large(limit: int) -> RefusedError:
    return RefusedError(TOO_LARGE, f"The request body is larger than {limit} bytes (--max_body_bytes)")


def peer(scope: Scope) -> str:
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "unix:"
