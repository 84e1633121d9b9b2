"""Request and Response: HTTP messages over ASGI, compressed or not."""

import asyncio
import gzip
import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from itertools import chain
from urllib.parse import parse_qs

from starlette.types import Message, Receive, Scope, Send

from serve.errors import Code, ServeError

__all__ = ["Receive", "Request", "Response", "Scope", "Send"]

JSON = "application/json"

# Responses with fewer bytes than this are not compressed; those with more than _LARGE bytes are compressed on a thread.
_MIN_COMPRESSED = 1024
_LARGE = 64 << 10
# Makes zlib detect whether the data is gzip or zlib.
_ANY_FORMAT = zlib.MAX_WBITS | 32


class Response:
    """A body with its media type, status and headers."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self, body: bytes, media_type: str = JSON, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = body
        self.media_type = media_type
        self.status = status
        self.headers = headers


class Request:
    """Method, path, headers, and the body after the middleware has read it."""

    body = b""

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        # The path as it was sent, because %2F in a model's name is not a separator. ASGI makes raw_path optional;
        # uvicorn and pyvoy both set it.
        self.path: str = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._scope = scope

    def header(self, name: str) -> str | None:
        """Returns the value of a header. `name` is in lower case."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def header_bytes(self) -> int:
        """The total length of all header names and values."""
        return sum(map(len, chain.from_iterable(self._scope["headers"])))

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters of the query string. The last value of a repeated key counts."""
        return {name: values[-1] for name, values in parse_qs(self._scope.get("query_string", b"").decode()).items()}

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters."""
        return _media_type(self.headers.get(b"content-type", b""))

    async def decompress(self, max_decompressed_bytes: int) -> None:
        """Decompresses `body` as Content-Encoding says. Raises INVALID_ARGUMENT if it cannot be decompressed."""
        encoding = (self.header("content-encoding") or "identity").strip().lower()
        if encoding == "identity":
            return
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise ServeError(
                Code.INVALID_ARGUMENT, f"Content-Encoding {encoding} is not supported: use gzip, deflate or none"
            )
        self.body = await asyncio.to_thread(_decompress, self.body, encoding, max_decompressed_bytes)

    async def response_events(
        self, response: Response, request_id: str, more_headers: Iterable[tuple[bytes, bytes]]
    ) -> tuple[Message, Message]:
        """Returns the ASGI events of `response`, compressed if it is large enough and the client accepts gzip."""
        body = response.body
        headers = [(b"content-type", _encoded(response.media_type)), *more_headers]
        if response.headers:
            headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in response.headers.items()]
        if len(body) >= _MIN_COMPRESSED and self._accepts_gzip():
            body = await asyncio.to_thread(_compress, body) if len(body) > _LARGE else _compress(body)
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        headers.append((b"content-length", b"%d" % len(body)))
        headers.append((b"x-request-id", request_id.encode()))
        return (
            {"type": "http.response.start", "status": response.status, "headers": headers},
            {"type": "http.response.body", "body": b"" if self.method == "HEAD" else body},
        )

    def _accepts_gzip(self) -> bool:
        accepted = self.header("accept-encoding")
        if not accepted or "gzip" not in accepted:
            return False
        for coding in accepted.lower().split(","):
            name, _, quality = coding.replace(" ", "").partition(";q=")
            if name == "gzip":
                return quality.strip("0.") != "" or not quality
        return False


# Nearly all requests and responses have one of a few media types.
@lru_cache(64)
def _media_type(content_type: bytes) -> str:
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


@lru_cache(64)
def _encoded(media_type: str) -> bytes:
    return media_type.encode()


def _compress(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=1, mtime=0)


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Returns the decompressed members of a body. Raises INVALID_ARGUMENT for more than `limit` bytes (0: no limit)."""
    decompressed = b""
    rest = body
    try:
        while rest:
            decompressor = zlib.decompressobj(_ANY_FORMAT)
            decompressed += decompressor.decompress(rest, limit - len(decompressed) + 1 if limit else 0)
            if limit and len(decompressed) > limit:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"The {encoding} body is larger than {limit} bytes once decompressed (--max_decompressed_bytes)",
                )
            if not decompressor.eof:
                raise zlib.error("it ends too early")
            rest = decompressor.unused_data
    except zlib.error as error:
        raise ServeError(Code.INVALID_ARGUMENT, f"The {encoding} body cannot be decompressed: {error}") from None
    return decompressed
