"""An HTTP/1.1 client for measuring: one request, sent again as soon as its answer is there."""

import asyncio
import time
from collections.abc import Callable
from typing import cast


class Http1Connection(asyncio.Protocol):
    """Keeps one request open on a connection that is kept alive, until `stop`."""

    def __init__(self, path: str, body: bytes, answered: Callable[[float, bool], None]) -> None:
        """`answered` gets the seconds each request took, and whether its status was 200."""
        self._request = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode("ascii") + body
        self._answered = answered
        self._buffer = bytearray()
        self._began = 0.0
        self._stopping = False
        self.closed = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Send no more, and close."""
        self._stopping = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no instances of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._stopping:
            self._answered(time.perf_counter() - self._began, False)
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        status = whole_answer(self._buffer)
        if status is None:
            return
        self._answered(time.perf_counter() - self._began, status == 200)
        self._buffer.clear()
        if not self._stopping:
            self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)


def whole_answer(received: bytearray) -> int | None:
    """The status of the answer in `received`, once it is complete."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    status = int(received[9:12])
    lengths = [line for line in received[:head].lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if lengths:
        complete = len(received) - head - 4 >= int(lengths[0].partition(b":")[2])
    else:
        complete = received.endswith(b"\r\n0\r\n\r\n")  # chunked
    return status if complete else None
