"""Method: one rpc and the coroutine that answers it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from google.protobuf.message import DecodeError

from serve.errors import Code, ServeError
from tfx_export import wire


class CallContext(Protocol):
    """What a handler may ask about a call; `grpc.aio.ServicerContext` has these methods."""

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline; None without one."""
        ...

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        """The request's metadata."""
        ...

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, str], ...]) -> None:
        """Metadata to be sent with the status."""
        ...

    def peer(self) -> str:
        """Who calls, as `ipv4:127.0.0.1:4711`."""
        ...


class Response(Protocol):
    """A message, or a Serialized one: the transports need nothing else of a response."""

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        ...


class SerializedResponse:
    """A response that is bytes already; in all that a runtime needs of it a message."""

    __slots__ = ("_message",)

    def __init__(self, message: bytes) -> None:
        self._message = message

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        return self._message


# The request is a message of the rpc, or the result of `Method.read`.
# Raises ServeError; the admission that carries the table turns it into a status.
Handler: TypeAlias = Callable[[Any, CallContext], Awaitable[Response]]
StreamHandler: TypeAlias = Callable[[Any, CallContext], AsyncIterator[Response]]
BidiHandler: TypeAlias = Callable[[AsyncIterator[Any], CallContext], AsyncIterator[Response]]


@dataclass(frozen=True)
class Method:
    """An rpc with its handler: `async def handler(request, context) -> response`.

    `read`: makes a request for it of the bytes that came, if that is not to be the rpc's message. Raises DecodeError.
    """

    rpc: wire.Rpc
    handler: Handler
    read: Callable[[bytes], Any] | None = None


@dataclass(frozen=True)
class StreamMethod:
    """An rpc that answers with a stream: its handler is an asynchronous generator."""

    rpc: wire.Rpc
    handler: StreamHandler


@dataclass(frozen=True)
class BidiMethod:
    """An rpc of two streams: its handler is an asynchronous generator over an asynchronous iterator."""

    rpc: wire.Rpc
    handler: BidiHandler


AnyMethod: TypeAlias = Method | StreamMethod | BidiMethod


def parse_request(method: AnyMethod, message: bytes) -> Any:
    """The request in `message`. INTERNAL, gRPC's own code for it, if there is none."""
    kind = method.rpc.request
    try:
        return method.read(message) if isinstance(method, Method) and method.read else kind.FromString(message)
    except DecodeError as error:
        raise ServeError(Code.INTERNAL, f"The message is not a valid {kind.DESCRIPTOR.full_name}: {error}") from None


MAX_MESSAGE = 1024
_CUT = "...TRUNCATED"


def status_message(error: ServeError) -> str:
    """The message of a gRPC status, at most 1024 characters and a mark."""
    if len(error.message) <= MAX_MESSAGE:
        return error.message
    return error.message[:MAX_MESSAGE] + _CUT
