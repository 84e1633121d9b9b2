"""AsgiCallContext: what the headers of one request say, in the terms of `serve.transport.grpc.CallContext`."""

import base64
import binascii
import time
from collections.abc import Sequence
from urllib.parse import quote

from starlette.types import Scope

from serve.errors import Code, ServeError
from serve.transport.grpc_asgi.framing import ENCODINGS

_UNIT_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
# Headers of the transport; what is left is the caller's metadata.
_RESERVED = frozenset({b"content-type", b"te", b"host", b"content-length", b"x-forwarded-proto"})
# Printable ASCII but for the percent sign travels as it is in grpc-message.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class AsgiCallContext:
    """One request's headers; reads only what the hot path needs until more is asked for."""

    __slots__ = ("_scope", "accepts", "encoding", "expires", "problem", "trailing")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.encoding = "identity"
        self.accepts = ""
        self.expires: float | None = None
        # What the headers say that cannot be done.
        self.problem: ServeError | None = None
        self.trailing: Sequence[tuple[str, str]] = ()
        for name, value in scope["headers"]:
            if name[:5] == b"grpc-":
                if name == b"grpc-timeout":
                    self._read_timeout(value.decode("latin-1"))
                elif name == b"grpc-encoding":
                    self._read_encoding(value.decode("latin-1"))
                elif name == b"grpc-accept-encoding":
                    self.accepts = value.decode("latin-1")

    @property
    def response_encoding(self) -> str:
        """The encoding of the answer: that of the request, if the client can read it."""
        if self.encoding != "identity" and self.encoding in self.accepts.replace(" ", "").split(","):
            return self.encoding
        return "identity"

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline; None without one."""
        return None if self.expires is None else max(0.0, self.expires - time.monotonic())

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """The caller's metadata: `-bin` values as bytes, others as text."""
        return [
            (name.decode("latin-1"), _binary(value) if name.endswith(b"-bin") else value.decode("latin-1"))
            for name, value in self._scope["headers"]
            if name not in _RESERVED and not name.startswith((b":", b"grpc-"))
        ]

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, str], ...]) -> None:
        """Metadata to be sent with the status."""
        self.trailing = trailing_metadata

    def peer(self) -> str:
        """Who calls, as gRPC writes it: `ipv4:127.0.0.1:4711`, `ipv6:[::1]:4711`, or `unix:`."""
        client = self._scope.get("client")
        if client is None:
            return "unix:"
        host, port = client
        return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"

    def _read_timeout(self, text: str) -> None:
        digits, unit = text[:-1], text[-1:]
        if unit in _UNIT_SECONDS and digits.isascii() and digits.isdigit():
            self.expires = time.monotonic() + int(digits) * _UNIT_SECONDS[unit]
        else:
            message = f'grpc-timeout "{text}" is not a number with one of the units H M S m u n.'
            self.problem = ServeError(Code.INTERNAL, message)

    def _read_encoding(self, name: str) -> None:
        if name in ENCODINGS:
            self.encoding = name
        else:
            message = f'Compression "{name}" is not known; known are {", ".join(ENCODINGS)}.'
            self.problem = ServeError(Code.UNIMPLEMENTED, message)


def percent_encoded(message: str) -> bytes:
    """A status message as it travels in the grpc-message trailer."""
    return quote(message, safe=_PLAIN).encode("ascii")


def _binary(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return b""
