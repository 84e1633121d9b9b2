"""A gRPC client for measuring: frames made once and sent again, so that the client costs next to nothing.

A stock client needs more of the CPU than the server it measures, on the same cores.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE = 1, 4
FRAME = 9
MAX_FRAME = 16_384
LARGEST_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535

_setting = Struct(">HI").pack
_number = Struct(">I")
# Length and kind of a frame in one number, flags, stream.
_head = Struct(">IBI").unpack_from


class Http2Connection(asyncio.Protocol):
    """Keeps `in_flight` calls of one unary method open on a connection, until `stop`."""

    def __init__(self, path: str, message: bytes, in_flight: int, answered: Callable[[float, bool], None]) -> None:
        """`answered` gets the seconds each call took, and whether a message came back."""
        self._headers = _header_block(path)
        body = b"\x00" + _number.pack(len(message)) + message
        self._chunks = [body[start : start + MAX_FRAME] for start in range(0, len(body), MAX_FRAME)]
        # What is small goes out whole: its frames need nothing but the number of the stream.
        self._whole = _parted(self._headers, body) if len(self._chunks) == 1 else None
        self._in_flight = in_flight
        self._answered = answered
        self._buffer = bytearray()
        self._stream = -1
        # Stream -> when it began; those that have got a message.
        self._began: dict[int, float] = {}
        self._filled: set[int] = set()
        self._window = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        self._windows: dict[int, int] = {}
        # Frames that wait for the server to open its windows.
        self._waiting: deque[tuple[int, bytes, bool]] = deque()
        # Those that wait for nothing but the end of what has been received: one write for all.
        self._ready: list[bytes] = []
        self._received = 0
        self._stopping = False
        self.closed = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Begin no more calls, and close."""
        self._stopping = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no instances of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        settings = _setting(HEADER_TABLE_SIZE, 0) + _setting(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)
        self._transport.write(
            PREFACE + _frame(SETTINGS, 0, 0, settings) + self._open_window(LARGEST_WINDOW - DEFAULT_WINDOW)
        )
        for _ in range(self._in_flight):
            self._begin()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._stopping:
            for began in self._began.values():
                self._answered(time.perf_counter() - began, False)
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= FRAME:
            length_and_kind, flags, stream = _head(buffer, start)
            length, kind = length_and_kind >> 8, length_and_kind & 0xFF
            if end - start < FRAME + length:
                break
            start += FRAME + length
            if kind == DATA:
                self._filled.add(stream)
                self._received += length
            elif kind != HEADERS:
                self._take_control(kind, flags, stream, bytes(buffer[start - length : start]))
                continue
            if flags & END_STREAM:
                self._end(stream)
        del buffer[:start]
        if self._received > LARGEST_WINDOW // 2:
            self._transport.write(self._open_window(self._received))
            self._received = 0
        self._send()

    def _take_control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == RST_STREAM:
            self._filled.discard(stream)
            self._end(stream)
        elif kind == WINDOW_UPDATE:
            self._widen(stream, _number.unpack(payload)[0])
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                if int.from_bytes(payload[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
                    self._resize(_number.unpack_from(payload, at + 2)[0])
            self._transport.write(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._transport.write(_frame(PING, ACK, 0, payload))

    def _begin(self) -> None:
        self._stream += 2
        stream = self._stream
        self._began[stream] = time.perf_counter()
        chunk = self._chunks[-1]
        if self._whole and not self._waiting and len(chunk) <= self._window and len(chunk) <= self._stream_window:
            opening, between = self._whole
            number = _number.pack(stream)
            self._window -= len(chunk)
            self._ready += opening, number, between, number, chunk
            return
        self._windows[stream] = self._stream_window
        self._ready.append(_frame(HEADERS, END_HEADERS, stream, self._headers))
        self._waiting.extend([(stream, chunk, chunk is self._chunks[-1]) for chunk in self._chunks])

    def _end(self, stream: int) -> None:
        began = self._began.pop(stream, None)
        self._windows.pop(stream, None)
        if began is None:
            return
        self._answered(time.perf_counter() - began, stream in self._filled)
        self._filled.discard(stream)
        if not self._stopping:
            self._begin()

    def _send(self) -> None:
        """As the windows allow, in order: one stream that is held up holds up those behind it, as in a stock client."""
        frames = self._ready
        while self._waiting:
            stream, chunk, last = self._waiting[0]
            window = self._windows.get(stream)
            if window is not None:
                if len(chunk) > self._window or len(chunk) > window:
                    break
                self._window -= len(chunk)
                self._windows[stream] = window - len(chunk)
                frames += _head_of(DATA, END_STREAM if last else 0, stream, chunk), chunk
            self._waiting.popleft()
        if frames:
            # What is large is handed to the kernel from where it lies; to join what is small costs less than its parts.
            if self._whole:
                self._transport.write(b"".join(frames))
            else:
                self._transport.writelines(frames)
            self._ready = []

    def _widen(self, stream: int, size: int) -> None:
        if stream == 0:
            self._window += size
        elif stream in self._windows:
            self._windows[stream] += size

    def _resize(self, size: int) -> None:
        for stream in self._windows:
            self._windows[stream] += size - self._stream_window
        self._stream_window = size

    def _open_window(self, size: int) -> bytes:
        return _frame(WINDOW_UPDATE, 0, 0, _number.pack(size))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _head_of(kind, flags, stream, payload) + payload


def _parted(headers: bytes, body: bytes) -> tuple[bytes, bytes]:
    """A call of two frames, up to the number of its stream in the first, and from there to the one in the second."""
    first, second = _frame(HEADERS, END_HEADERS, 0, headers), _head_of(DATA, END_STREAM, 0, body)
    return first[: FRAME - _number.size], first[FRAME:] + second[: FRAME - _number.size]


def _head_of(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + _number.pack(stream)


def _header_block(path: str) -> bytes:
    """HPACK without a dynamic table and without Huffman codes: it can be sent again and again."""

    def text(value: str) -> bytes:
        raw = value.encode("ascii")
        assert len(raw) < 127
        return bytes((len(raw),)) + raw

    return b"".join(
        (
            b"\x83\x86",  # :method: POST, :scheme: http, from the static table
            b"\x04" + text(path),  # :path
            b"\x01" + text("localhost"),  # :authority
            b"\x0f\x10" + text("application/grpc"),  # content-type
            b"\x00" + text("te") + text("trailers"),
        )
    )
