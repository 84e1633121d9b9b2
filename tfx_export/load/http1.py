"""An HTTP/1.1 client for load: sends the next prepared request as soon as a response is complete."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import cast


class Http1Connection(asyncio.Protocol):
    """Keeps one request in flight on a persistent connection, until `stop`."""

    def __init__(self, path: str, bodies: Sequence[bytes], on_response: Callable[[float, bool], None]) -> None:
        """`bodies` are sent in turn. `on_response` gets the latency in seconds, and whether the status was 200."""
        self._requests = cycle([_request(path, body) for body in bodies])
        self._on_response = on_response
        self._buffer = bytearray()
        self._sent = 0.0
        self._stopping = False
        self.closed = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Sends no more requests and closes the connection."""
        self._stopping = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not instances of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._stopping:
            self._on_response(time.perf_counter() - self._sent, False)
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        status = status_if_complete(self._buffer)
        if status is None:
            return
        self._on_response(time.perf_counter() - self._sent, status == 200)
        self._buffer.clear()
        if not self._stopping:
            self._send()

    def _send(self) -> None:
        request = next(self._requests)
        self._sent = time.perf_counter()
        self._transport.write(request)


def _request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def status_if_complete(received: bytearray) -> int | None:
    """Returns the status of the response in `received`, or None if the response is not complete."""
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
