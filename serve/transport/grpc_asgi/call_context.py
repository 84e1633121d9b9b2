"""AsgiCallContext: the headers of one request, with the interface of `serve.transport.grpc.CallContext`."""

import base64
import binascii
import time
from collections.abc import Sequence
from urllib.parse import quote

from starlette.types import Scope

from serve.errors import Code, ServeError
from serve.transport.grpc_asgi.framing import ENCODINGS

_UNIT_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
# Headers of the transport; all other headers are the client's metadata.
_RESERVED = frozenset({b"content-type", b"te", b"host", b"content-length", b"x-forwarded-proto"})
# In grpc-message, printable ASCII except for the percent sign is not encoded.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class AsgiCallContext:
    """The headers of one request. The constructor reads only those that every call needs."""

    __slots__ = ("_scope", "accepted_encodings", "encoding", "expires", "header_error", "trailing")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.encoding = "identity"
        self.accepted_encodings = ""
        self.expires: float | None = None
        # The error of a header that the server cannot fulfil.
        self.header_error: ServeError | None = None
        self.trailing: Sequence[tuple[str, str]] = ()
        for name, value in scope["headers"]:
            if name[:5] == b"grpc-":
                if name == b"grpc-timeout":
                    self._read_timeout(value.decode("latin-1"))
                elif name == b"grpc-encoding":
                    self._read_encoding(value.decode("latin-1"))
                elif name == b"grpc-accept-encoding":
                    self.accepted_encodings = value.decode("latin-1")

    @property
    def response_encoding(self) -> str:
        """The encoding of the response: that of the request, if the client accepts it."""
        if self.encoding != "identity" and self.encoding in self.accepted_encodings.replace(" ", "").split(","):
            return self.encoding
        return "identity"

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline; None if there is no deadline."""
        return None if self.expires is None else max(0.0, self.expires - time.monotonic())

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """Returns the client's metadata: `-bin` values as bytes, others as text."""
        return [
            (name.decode("latin-1"), _binary(value) if name.endswith(b"-bin") else value.decode("latin-1"))
            for name, value in self._scope["headers"]
            if name not in _RESERVED and not name.startswith((b":", b"grpc-"))
        ]

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, str], ...]) -> None:
        """Sets the metadata that is sent with the status."""
        self.trailing = trailing_metadata

    def peer(self) -> str:
        """Returns the client's address as gRPC writes it: `ipv4:127.0.0.1:4711`, `ipv6:[::1]:4711`, or `unix:`."""
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
            self.header_error = ServeError(Code.INTERNAL, message)

    def _read_encoding(self, name: str) -> None:
        if name in ENCODINGS:
            self.encoding = name
        else:
            message = f'Compression "{name}" is not supported. Supported: {", ".join(ENCODINGS)}.'
            self.header_error = ServeError(Code.UNIMPLEMENTED, message)


def percent_encoded(message: str) -> bytes:
    """Returns a status message as the value of the grpc-message trailer."""
    return quote(message, safe=_PLAIN).encode("ascii")


def _binary(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return b""
