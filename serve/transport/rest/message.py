"""Request and Answer: HTTP as ASGI carries it, compressed or not."""

import asyncio
import gzip
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from serve.errors import Code, ServeError

__all__ = ["Answer", "Receive", "Request", "Scope", "Send"]

JSON = "application/json"

# Shorter answers are not worth compressing; longer ones than the second are compressed off the event loop.
_COMPRESSED = 1024
_LONG = 64 << 10
# zlib's name for "find out whether it is gzip or zlib".
_ANY_FORMAT = zlib.MAX_WBITS | 32


@dataclass(frozen=True)
class Answer:
    """A body with its media type and status."""

    body: bytes
    media_type: str = JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Request:
    """Method, path and headers at once, the body when it is asked for."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        # As it was sent: in a model's name %2F is no separator. uvicorn and pyvoy both give it; ASGI makes it optional.
        self.path: str = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        self._scope = scope
        self._receive = receive
        self._headers: dict[bytes, bytes] = dict(scope["headers"])

    def header(self, name: bytes) -> str | None:
        """The value of a header, by its name in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @cached_property
    def query(self) -> dict[str, str]:
        """The query string; of a repeated key the last value."""
        return {name: values[-1] for name, values in parse_qs(self._scope.get("query_string", b"").decode()).items()}

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters."""
        return (self.header(b"content-type") or "").partition(";")[0].strip().lower()

    async def body(self, max_decompressed_bytes: int) -> bytes:
        """The body, which the guard has read and bounded, unpacked. INVALID_ARGUMENT for what cannot be unpacked."""
        message = await self._receive()
        body: bytes = message.get("body", b"")
        encoding = (self.header(b"content-encoding") or "identity").strip().lower()
        if encoding == "identity":
            return body
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise ServeError(
                Code.INVALID_ARGUMENT, f"Content-Encoding {encoding} is not supported: use gzip, deflate or none"
            )
        return await asyncio.to_thread(_unpack, body, encoding, max_decompressed_bytes)

    async def respond(self, send: Send, answer: Answer, headers: dict[str, str]) -> None:
        """Send `answer`, compressed if the client accepts that and it is worth it."""
        body = answer.body
        headers = {"content-type": answer.media_type, **answer.headers, **headers}
        if len(body) >= _COMPRESSED and self._accepts_gzip():
            body = await asyncio.to_thread(_pack, body) if len(body) > _LONG else _pack(body)
            headers["content-encoding"] = "gzip"
            headers["vary"] = "accept-encoding"
        headers["content-length"] = str(len(body))
        # What else is ready is answered first: the front then finds many answers at once, not one after the other.
        await asyncio.sleep(0)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    def _accepts_gzip(self) -> bool:
        accepted = self.header(b"accept-encoding")
        if not accepted or "gzip" not in accepted:
            return False
        for coding in accepted.lower().split(","):
            name, _, quality = coding.replace(" ", "").partition(";q=")
            if name == "gzip":
                return quality.strip("0.") != "" or not quality
        return False


def _pack(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1, mtime=0)


def _unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """All members of a gzip body, as long as `limit` allows (0: any length)."""
    unpacked = b""
    rest = body
    try:
        while rest:
            unpacker = zlib.decompressobj(_ANY_FORMAT)
            unpacked += unpacker.decompress(rest, limit - len(unpacked) + 1 if limit else 0)
            if limit and len(unpacked) > limit:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"The {encoding} body is larger than {limit} bytes once unpacked (--max_decompressed_bytes)",
                )
            if not unpacker.eof:
                raise zlib.error("it ends too early")
            rest = unpacker.unused_data
    except zlib.error as error:
        raise ServeError(Code.INVALID_ARGUMENT, f"The {encoding} body cannot be unpacked: {error}") from None
    return unpacked
