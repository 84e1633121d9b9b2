"""Method: an rpc with the coroutine that handles it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from google.protobuf.message import DecodeError

from serve.errors import Code, ServeError
from tfx_export import wire


class CallContext(Protocol):
    """What a handler may read from and set on a call. `grpc.aio.ServicerContext` has these methods."""

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline; None if there is no deadline."""
        ...

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        """Returns the request's metadata."""
        ...

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, str], ...]) -> None:
        """Sets the metadata that is sent with the status."""
        ...

    def peer(self) -> str:
        """Returns the client's address, as `ipv4:127.0.0.1:4711`."""
        ...


class ResponseMessage(Protocol):
    """A protobuf message or a SerializedResponse. The transports need nothing else of a response."""

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        ...


class SerializedResponse:
    """A response that is already serialized."""

    __slots__ = ("_message",)

    def __init__(self, message: bytes) -> None:
        self._message = message

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        return self._message


# The request is a message of the rpc, or the result of `Method.read`. A handler raises ServeError; the runtime that
# serves the table of methods turns it into a status.
Handler: TypeAlias = Callable[[Any, CallContext], Awaitable[ResponseMessage]]
StreamHandler: TypeAlias = Callable[[Any, CallContext], AsyncIterator[ResponseMessage]]
BidiHandler: TypeAlias = Callable[[AsyncIterator[Any], CallContext], AsyncIterator[ResponseMessage]]


@dataclass(frozen=True)
class Method:
    """An rpc with its handler: `async def handler(request, context) -> response`.

    `read` makes the handler's request from the message's bytes; None: the rpc's message. It raises DecodeError.
    """

    rpc: wire.Rpc
    handler: Handler
    read: Callable[[bytes], Any] | None = None


@dataclass(frozen=True)
class StreamMethod:
    """An rpc with a stream of responses. Its handler is an asynchronous generator."""

    rpc: wire.Rpc
    handler: StreamHandler


@dataclass(frozen=True)
class BidiMethod:
    """An rpc with two streams. Its handler is an asynchronous generator that gets an asynchronous iterator."""

    rpc: wire.Rpc
    handler: BidiHandler


AnyMethod: TypeAlias = Method | StreamMethod | BidiMethod


def parse_request(method: AnyMethod, message: bytes) -> Any:
    """Returns the request in `message`. Raises INTERNAL, as gRPC itself does, if it cannot be parsed."""
    kind = method.rpc.request
    try:
        return method.read(message) if isinstance(method, Method) and method.read else kind.FromString(message)
    except DecodeError as error:
        raise ServeError(Code.INTERNAL, f"The message is not a valid {kind.DESCRIPTOR.full_name}: {error}") from None


# TensorFlow Serving's limit and mark.
MAX_MESSAGE = 1024
_TRUNCATED = "...TRUNCATED"


def status_message(error: ServeError) -> str:
    """Returns the message of a gRPC status: at most 1,024 characters, and a mark if it was longer."""
    if len(error.message) <= MAX_MESSAGE:
        return error.message
    return error.message[:MAX_MESSAGE] + _TRUNCATED
