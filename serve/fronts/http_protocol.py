"""uvicorn's HTTP protocol with limits on the size of the headers and on the time until they are complete.

RestMiddleware limits the body, but uvicorn calls the application only once the headers are complete.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serve.config import Config


def bounded_protocol(config: Config) -> type[HttpToolsProtocol]:
    """Returns the protocol class for `config`. A class, because uvicorn creates an instance for each connection."""

    class BoundedHttpProtocol(_BoundedHttpProtocol):
        max_header_bytes = config.max_header_bytes
        max_idle_seconds = config.max_idle_seconds

    return BoundedHttpProtocol


class _BoundedHttpProtocol(HttpToolsProtocol):
    max_header_bytes: int
    max_idle_seconds: float

    _reading_headers = True
    _header_bytes = 0
    _header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_headers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._reading_headers:
            self._header_bytes += len(data)
            if self.max_header_bytes and self._header_bytes > self.max_header_bytes:
                self._reject(431, f"The headers are larger than {self.max_header_bytes} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._reading_headers:
            self._begin_headers()

    def on_headers_complete(self) -> None:
        self._end_headers()
        super().on_headers_complete()

    def _begin_headers(self) -> None:
        self._reading_headers = True
        self._header_bytes = 0
        if self.max_idle_seconds:
            self._header_timer = self.loop.call_later(self.max_idle_seconds, self._on_timeout)

    def _end_headers(self) -> None:
        self._reading_headers = False
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _on_timeout(self) -> None:
        self._reject(408, f"The headers did not come within {self.max_idle_seconds:g} s")

    def _reject(self, status: int, message: str) -> None:
        self._end_headers()
        if self.transport.is_closing():
            return
        body = b'{"error": "%s"}' % message.encode()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
