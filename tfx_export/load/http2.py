"""A gRPC client for load: the frames are made once and sent again and again, so that the client costs little CPU time.

A stock client needs more CPU time than the server that it measures, on the same cores.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import cycle
from struct import Struct
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE = 1, 4
FRAME_HEADER = 9  # bytes
MAX_FRAME = 16_384
LARGEST_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535

_pack_setting = Struct(">HI").pack
_uint32 = Struct(">I")
# Of a frame header: length and type in one number, flags, stream.
_unpack_frame_header = Struct(">IBI").unpack_from


class _PreparedCall:
    """The frames of a call, except for the number of its stream."""

    def __init__(self, headers: bytes, message: bytes) -> None:
        self.headers = headers
        body = b"\x00" + _uint32.pack(len(message)) + message
        self.chunks = [body[start : start + MAX_FRAME] for start in range(0, len(body), MAX_FRAME)]
        self.is_small = len(self.chunks) == 1
        # A small call has two frames. `opening` ends where the first one has the number of the stream, and `between`
        # runs from there to the number in the second one.
        first, second = _frame(HEADERS, END_HEADERS, 0, headers), _frame_header(DATA, END_STREAM, 0, self.chunks[0])
        self.opening = first[: FRAME_HEADER - _uint32.size]
        self.between = first[FRAME_HEADER:] + second[: FRAME_HEADER - _uint32.size]


class Http2Connection(asyncio.Protocol):
    """Keeps `in_flight` calls of one unary method open on a connection, until `stop`."""

    def __init__(
        self, path: str, messages: Sequence[bytes], in_flight: int, on_response: Callable[[float, bool], None]
    ) -> None:
        """`messages` are sent in turn. `on_response` gets the latency in seconds, and whether a message came back."""
        headers = _header_block(path)
        calls = [_PreparedCall(headers, message) for message in messages]
        self._calls = cycle(calls)
        self._all_small = all(call.is_small for call in calls)
        self._in_flight = in_flight
        self._on_response = on_response
        self._buffer = bytearray()
        self._stream = -1
        # Stream -> the time when its call began.
        self._began: dict[int, float] = {}
        # Streams that have received a message.
        self._with_message: set[int] = set()
        self._window = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        self._windows: dict[int, int] = {}
        # Frames that wait until the server opens its flow-control windows: stream, payload, whether it is the last.
        self._waiting: deque[tuple[int, bytes, bool]] = deque()
        # Frames that are sent with one write, after all received data is processed.
        self._ready: list[bytes] = []
        self._received = 0
        self._stopping = False
        self.closed = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Starts no more calls and closes the connection."""
        self._stopping = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not instances of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        settings = _pack_setting(HEADER_TABLE_SIZE, 0) + _pack_setting(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)
        self._transport.write(
            PREFACE + _frame(SETTINGS, 0, 0, settings) + self._open_window(LARGEST_WINDOW - DEFAULT_WINDOW)
        )
        for _ in range(self._in_flight):
            self._begin()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._stopping:
            for began in self._began.values():
                self._on_response(time.perf_counter() - began, False)
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= FRAME_HEADER:
            length_and_kind, flags, stream = _unpack_frame_header(buffer, start)
            length, kind = length_and_kind >> 8, length_and_kind & 0xFF
            if end - start < FRAME_HEADER + length:
                break
            start += FRAME_HEADER + length
            if kind == DATA:
                self._with_message.add(stream)
                self._received += length
            elif kind != HEADERS:
                self._process_control_frame(kind, flags, stream, bytes(buffer[start - length : start]))
                continue
            if flags & END_STREAM:
                self._end(stream)
        del buffer[:start]
        if self._received > LARGEST_WINDOW // 2:
            self._transport.write(self._open_window(self._received))
            self._received = 0
        self._send()

    def _process_control_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == RST_STREAM:
            self._with_message.discard(stream)
            self._end(stream)
        elif kind == WINDOW_UPDATE:
            self._grow_window(stream, _uint32.unpack(payload)[0])
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                if int.from_bytes(payload[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
                    self._change_initial_window(_uint32.unpack_from(payload, at + 2)[0])
            self._transport.write(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._transport.write(_frame(PING, ACK, 0, payload))

    def _begin(self) -> None:
        self._stream += 2
        stream = self._stream
        self._began[stream] = time.perf_counter()
        call = next(self._calls)
        last = call.chunks[-1]
        if call.is_small and not self._waiting and len(last) <= self._window and len(last) <= self._stream_window:
            number = _uint32.pack(stream)
            self._window -= len(last)
            self._ready += call.opening, number, call.between, number, last
            return
        self._windows[stream] = self._stream_window
        self._ready.append(_frame(HEADERS, END_HEADERS, stream, call.headers))
        self._waiting.extend([(stream, chunk, chunk is last) for chunk in call.chunks])

    def _end(self, stream: int) -> None:
        began = self._began.pop(stream, None)
        self._windows.pop(stream, None)
        if began is None:
            return
        self._on_response(time.perf_counter() - began, stream in self._with_message)
        self._with_message.discard(stream)
        if not self._stopping:
            self._begin()

    def _send(self) -> None:
        """Sends frames in order as the windows allow. As in a stock client, a blocked stream blocks those behind it."""
        frames = self._ready
        while self._waiting:
            stream, chunk, last = self._waiting[0]
            window = self._windows.get(stream)
            if window is not None:
                if len(chunk) > self._window or len(chunk) > window:
                    break
                self._window -= len(chunk)
                self._windows[stream] = window - len(chunk)
                frames += _frame_header(DATA, END_STREAM if last else 0, stream, chunk), chunk
            self._waiting.popleft()
        if frames:
            # Joining costs less than several small buffers; large buffers are not copied.
            if self._all_small:
                self._transport.write(b"".join(frames))
            else:
                self._transport.writelines(frames)
            self._ready = []

    def _grow_window(self, stream: int, size: int) -> None:
        if stream == 0:
            self._window += size
        elif stream in self._windows:
            self._windows[stream] += size

    def _change_initial_window(self, size: int) -> None:
        for stream in self._windows:
            self._windows[stream] += size - self._stream_window
        self._stream_window = size

    def _open_window(self, size: int) -> bytes:
        return _frame(WINDOW_UPDATE, 0, 0, _uint32.pack(size))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _frame_header(kind, flags, stream, payload) + payload


def _frame_header(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + _uint32.pack(stream)


def _header_block(path: str) -> bytes:
    """Returns the headers in HPACK, without a dynamic table and Huffman codes, so that they are valid in every call."""

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
