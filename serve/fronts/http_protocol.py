"""uvicorn's HTTP protocol with limits on the headers, and with refusals as the REST API writes errors.

RestMiddleware limits the body, but uvicorn calls the application only once the headers are complete.
"""

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serve.codec.json import text as json_text
from serve.config import Config
from serve.fronts import refusals

_UTF8_PATH = re.compile(refusals.UTF8_PATH.encode())
# The characters that Envoy allows in a host and port.
_HOST = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:@\[\]]*")


def bounded_protocol(config: Config) -> type[HttpToolsProtocol]:
    """Returns the protocol class for `config`. A class, because uvicorn creates an instance for each connection."""

    class BoundedHttpProtocol(_BoundedHttpProtocol):
        max_header_bytes = config.max_header_bytes
        max_idle_seconds = config.max_idle_seconds

    return BoundedHttpProtocol


class _RefusedError(Exception):
    """Ends the parsing of a request that is refused: httptools passes it on as an HttpParserError."""


class _BoundedHttpProtocol(HttpToolsProtocol):
    max_header_bytes: int
    max_idle_seconds: float

    _reading_headers = True
    _header_bytes = 0
    _header_timer: asyncio.TimerHandle | None = None
    # Status and text of the response to the request that is refused.
    _refusal = (400, refusals.INVALID_HTTP)
    _refuses_next = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_headers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refuses_next:
            return
        super().data_received(data)
        if self._reading_headers:
            self._header_bytes += len(data)
            if self.max_header_bytes and self._header_bytes > self.max_header_bytes:
                self._reject(431, refusals.headers_too_large(self.max_header_bytes))

    def send_400_response(self, msg: str) -> None:
        """Answers bytes that are not a valid request, after the responses to the requests before them."""
        if self.cycle and not self.cycle.more_body and not self.cycle.response_complete:
            self._end_headers()
            self._refuses_next = True
        else:
            self._reject(*self._refusal)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._refuses_next and self.cycle.response_complete:
            self._reject(*self._refusal)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._reading_headers:
            self._begin_headers()

    def on_headers_complete(self) -> None:
        self._end_headers()
        if refusal := self._find_refusal():
            self._refusal = refusal
            raise _RefusedError
        super().on_headers_complete()

    def _find_refusal(self) -> tuple[int, str] | None:
        """Returns the refusal of a request that llhttp accepts and Envoy does not."""
        hosts = [value for name, value in self.headers if name == b"host"]
        url = self.url
        if not hosts and self.parser.get_http_version() == "1.1" and url.startswith(b"/"):
            return 400, refusals.NO_HOST
        if len(hosts) > 1 or (hosts and b"," in hosts[0]):
            return 400, refusals.TWO_HOSTS
        if hosts and not _HOST.fullmatch(hosts[0]):
            return 400, refusals.INVALID_HOST
        if not url.startswith((b"/", b"http://", b"https://")):
            return 400, refusals.INVALID_HTTP
        if b"#" in url:
            return 400, refusals.FRAGMENT
        if b"%" in url and not _UTF8_PATH.fullmatch(url.partition(b"?")[0]):
            return 400, refusals.PATH_NOT_UTF8
        if any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in self.headers):
            return 501, refusals.TRANSFER_ENCODING
        return None

    def _unsupported_upgrade_warning(self) -> None:
        """Logs nothing: an upgrade is optional for the server, and uvicorn's warning recommends to install packages."""

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
        self._reject(408, refusals.headers_too_slow(self.max_idle_seconds))

    def _reject(self, status: int, message: str) -> None:
        self._end_headers()
        if self.transport.is_closing():
            return
        body = json_text.error(message)
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
