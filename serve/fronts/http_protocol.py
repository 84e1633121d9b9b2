"""uvicorn's HTTP protocol with a bound on the headers: how many bytes, and how long they may take to come.

The body is bounded by the application's guard; but uvicorn calls no application before the headers are complete.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serve.config import Config


def bounded_protocol(config: Config) -> type[HttpToolsProtocol]:
    """The protocol class for `config`: uvicorn makes one instance a connection, without arguments of ours."""

    class BoundedHttpProtocol(_BoundedHttpProtocol):
        max_header_bytes = config.max_header_bytes
        max_idle_seconds = config.max_idle_seconds

    return BoundedHttpProtocol


class _BoundedHttpProtocol(HttpToolsProtocol):
    max_header_bytes: int
    max_idle_seconds: float

    _in_headers = True
    _header_bytes = 0
    _impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self.max_header_bytes and self._header_bytes > self.max_header_bytes:
                self._refuse(431, f"The headers are larger than {self.max_header_bytes} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_headers:
            self._expect_headers()

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def _expect_headers(self) -> None:
        self._in_headers = True
        self._header_bytes = 0
        if self.max_idle_seconds:
            self._impatience = self.loop.call_later(self.max_idle_seconds, self._too_slow)

    def _headers_came(self) -> None:
        self._in_headers = False
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _too_slow(self) -> None:
        self._refuse(408, f"The headers did not come within {self.max_idle_seconds:g} s")

    def _refuse(self, status: int, message: str) -> None:
        self._headers_came()
        if self.transport.is_closing():
            return
        body = b'{"error": "%s"}' % message.encode()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
