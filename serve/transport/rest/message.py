"""Request and Response: HTTP as ASGI carries it, compressed or not."""

import asyncio
import gzip
import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from serve.errors import Code, ServeError

__all__ = ["Receive", "Request", "Response", "Scope", "Send"]

JSON = "application/json"

# Shorter answers are not worth compressing; longer ones than the second are compressed off the event loop.
_COMPRESSED = 1024
_LONG = 64 << 10
# zlib's name for "find out whether it is gzip or zlib".
_ANY_FORMAT = zlib.MAX_WBITS | 32


class Response:
    """A body with its media type and status."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self, body: bytes, media_type: str = JSON, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = body
        self.media_type = media_type
        self.status = status
        self.headers = headers


class Request:
    """Method, path and headers; the body once the guard has read it."""

    body = b""

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        # As it was sent: in a model's name %2F is no separator. uvicorn and pyvoy both give it; ASGI makes it optional.
        self.path: str = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._scope = scope

    def header(self, name: str) -> str | None:
        """The value of a header, by its name in lower case."""
        value = self.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def header_bytes(self) -> int:
        """How long all names and values are together."""
        return sum(map(len, chain.from_iterable(self._scope["headers"])))

    @cached_property
    def query(self) -> dict[str, str]:
        """The query string; of a repeated key the last value."""
        return {name: values[-1] for name, values in parse_qs(self._scope.get("query_string", b"").decode()).items()}

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters."""
        return _media_type(self.headers.get(b"content-type", b""))

    async def unpack(self, max_decompressed_bytes: int) -> None:
        """Leave in `body` what was packed in it. INVALID_ARGUMENT for what cannot be unpacked."""
        encoding = (self.header("content-encoding") or "identity").strip().lower()
        if encoding == "identity":
            return
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise ServeError(
                Code.INVALID_ARGUMENT, f"Content-Encoding {encoding} is not supported: use gzip, deflate or none"
            )
        self.body = await asyncio.to_thread(_unpack, self.body, encoding, max_decompressed_bytes)

    async def answered(
        self, answer: Response, request_id: str, more_headers: Iterable[tuple[bytes, bytes]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The events that send `answer`, compressed if the client accepts that and it is worth it."""
        body = answer.body
        headers = [(b"content-type", _encoded(answer.media_type)), *more_headers]
        if answer.headers:
            headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
        if len(body) >= _COMPRESSED and self._accepts_gzip():
            body = await asyncio.to_thread(_pack, body) if len(body) > _LONG else _pack(body)
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        headers.append((b"content-length", b"%d" % len(body)))
        headers.append((b"x-request-id", request_id.encode()))
        return (
            {"type": "http.response.start", "status": answer.status, "headers": headers},
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


# Nearly all requests and answers have one of a few media types.
@lru_cache(64)
def _media_type(content_type: bytes) -> str:
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


@lru_cache(64)
def _encoded(media_type: str) -> bytes:
    return media_type.encode()


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
