"""GrpcApp: an ASGI application that answers gRPC calls with a table of methods."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

from google.protobuf.message import Message
from starlette.types import Message as AsgiEvent, Receive, Scope, Send

from serve.errors import Code, ServeError, from_unexpected
from serve.request.deadline import next_turn, with_context_if_suspended
from serve.transport.grpc import AnyMethod, BidiMethod, Method, parse_request
from serve.transport.grpc.method import ResponseMessage, status_message
from serve.transport.grpc_asgi.call_context import AsgiCallContext, percent_encoded
from serve.transport.grpc_asgi.cancellation import CallCancellation
from serve.transport.grpc_asgi.framing import ACCEPTED, ClientDisconnectedError, frame, read_message, read_messages

_HEADERS = [(b"content-type", b"application/grpc"), (b"grpc-accept-encoding", ACCEPTED)]
_START = {"type": "http.response.start", "status": 200, "headers": _HEADERS, "trailers": True}
_OK = [(b"grpc-status", b"0")]


class ResponseSender:
    """Sends the events of one response: headers, framed messages, and the status in the trailers."""

    __slots__ = ("_call", "_send", "_started")

    def __init__(self, call: AsgiCallContext, send: Send) -> None:
        self._call = call
        self._send = send
        self._started = False

    async def send_unary(self, message: bytes) -> None:
        """Sends the response to a unary call, with status OK."""
        encoding = self._call.response_encoding
        # Other requests that are ready are computed first. Envoy's thread is then woken once for many responses; woken
        # for each of them, it took half of the CPU time of a small request.
        await next_turn()
        await self._send_events(
            _START if encoding == "identity" else _start(encoding),
            {"type": "http.response.body", "body": frame(message, encoding)},
            _status(_OK, self._call.trailing),
        )

    async def send_message(self, message: bytes) -> None:
        """Sends one message of a streaming response."""
        body = {"type": "http.response.body", "body": frame(message), "more_body": True}
        if self._started:
            await self._send_events(body)
        else:
            self._started = True
            await self._send_events(_START, body)

    async def send_status(self, code: Code, message: str = "") -> None:
        """Sends the status, which ends the response."""
        fields = (
            _OK if code is Code.OK else [(b"grpc-status", b"%d" % code), (b"grpc-message", percent_encoded(message))]
        )
        end = {"type": "http.response.body", "body": b""}, _status(fields, self._call.trailing)
        with contextlib.suppress(ClientDisconnectedError):
            await self._send_events(*(end if self._started else (_START, *end)))

    async def _send_events(self, *events: AsgiEvent) -> None:
        try:
            for event in events:
                await self._send(event)
        except OSError as error:
            raise ClientDisconnectedError from error


class GrpcApp:
    """Answers `POST /package.Service/Method` with content type application/grpc, and expects no other requests."""

    def __init__(self, methods: Mapping[str, AnyMethod], *, max_message_bytes: int = 2**32) -> None:
        self._methods = methods
        self._limit = max_message_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = AsgiCallContext(scope)
        sender = ResponseSender(call, send)
        try:
            if call.header_error:
                raise call.header_error
            method = self._methods.get(scope["path"])
            if method is None:
                raise self._unknown(scope["path"])
            if isinstance(method, BidiMethod):
                requests = self._requests(method, receive, call.encoding)
                await _stream(method.handler(requests, call), sender)
                await sender.send_status(Code.OK)
                return
            request = parse_request(method, await read_message(receive, call.encoding, self._limit))
            if call.time_remaining() == 0.0:
                raise ServeError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
            if isinstance(method, Method):
                response = await with_context_if_suspended(
                    method.handler(request, call), partial(CallCancellation, receive, call)
                )
                await sender.send_unary(response.SerializeToString())
            else:
                await with_context_if_suspended(
                    _stream(method.handler(request, call), sender), partial(CallCancellation, receive, call)
                )
                await sender.send_status(Code.OK)
        except ServeError as error:
            await sender.send_status(error.code, status_message(error))
        except ClientDisconnectedError:
            return
        except Exception as error:
            failure = from_unexpected(error, scope["path"])
            await sender.send_status(failure.code, failure.message)

    async def _requests(self, method: BidiMethod, receive: Receive, encoding: str) -> AsyncIterator[Message]:
        async for message in read_messages(receive, encoding, self._limit):
            yield parse_request(method, message)

    def _unknown(self, path: str) -> ServeError:
        service, _, name = path.lstrip("/").rpartition("/")
        methods = sorted(known.rpartition("/")[2] for known in self._methods if known.startswith(f"/{service}/"))
        if methods:
            return ServeError(Code.UNIMPLEMENTED, f"Method not found: {name} (of {service}, which has {methods})")
        services = sorted({known.split("/")[1] for known in self._methods})
        return ServeError(Code.UNIMPLEMENTED, f"Method not found: {path} (the services are {services})")


async def _stream(responses: AsyncIterator[ResponseMessage], sender: ResponseSender) -> None:
    async for response in responses:
        await sender.send_message(response.SerializeToString())


def _start(encoding: str) -> AsgiEvent:
    return {**_START, "headers": [*_HEADERS, (b"grpc-encoding", encoding.encode("ascii"))]}


def _status(fields: list[tuple[bytes, bytes]], trailing: Sequence[tuple[str, str]]) -> AsgiEvent:
    if trailing:
        fields = [*fields, *((name.encode("ascii"), value.encode("latin-1")) for name, value in trailing)]
    return {"type": "http.response.trailers", "headers": fields}
