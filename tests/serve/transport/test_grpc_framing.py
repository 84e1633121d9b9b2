"""gRPC messages in their five-byte frames: complete, in pieces, compressed, broken."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from serve.errors import Code
from tests.serve.transport.echo_app import grpc_app
from tfx_export import wire

LIMIT = 64 << 20
ECHO = wire.PredictRequest()
ECHO.inputs["x"].tensor_content = bytes(5000)
MESSAGE = ECHO.SerializeToString()


def framed(message: bytes, flag: int = 0, size: int | None = None) -> bytes:
    return bytes([flag]) + (len(message) if size is None else size).to_bytes(4, "big") + message


def call(
    *chunks: bytes, headers: dict[bytes, bytes] | None = None, disconnect: bool = False
) -> tuple[bytes, dict[bytes, bytes]]:
    """Returns the response's body, and its headers and trailers.

    With `disconnect`, the client disconnects after the last chunk.
    """
    events: list[Any] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if disconnect:
        events.append({"type": "http.disconnect"})
    else:
        events[-1]["more_body"] = False
    sent: list[Any] = []

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"path": "/tensorflow.serving.PredictionService/Predict", "headers": list((headers or {}).items())}
    asyncio.run(grpc_app(scope, receive, send))
    fields = [field for event in sent for field in event.get("headers", ())]
    return b"".join(event.get("body", b"") for event in sent), dict(fields)


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 5, 6, 1000, 5000])
def test_message_in_pieces_is_put_together(pieces: int) -> None:
    whole = framed(MESSAGE)
    body, status = call(*(whole[start : start + pieces] for start in range(0, len(whole), pieces)))
    assert status[b"grpc-status"] == b"0"
    assert wire.PredictResponse.FromString(body[5:]).outputs["x"].tensor_content == bytes(5000)


@pytest.mark.parametrize(("encoding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
@pytest.mark.parametrize(("accepts", "flag"), [(b"identity, deflate,gzip", 1), (b"identity", 0)])
def test_response_has_the_encoding_of_the_request_if_the_client_accepts_it(
    encoding: bytes, pack: Callable[[bytes], bytes], accepts: bytes, flag: int
) -> None:
    headers = {b"grpc-encoding": encoding, b"grpc-accept-encoding": accepts}
    body, status = call(framed(pack(MESSAGE), 1), headers=headers)
    assert status[b"grpc-status"] == b"0"
    assert body[0] == flag
    assert (status.get(b"grpc-encoding") == encoding) == bool(flag)
    message = body[5:]
    if flag:
        message = zlib.decompress(message, wbits=47)  # gzip or deflate
    assert wire.PredictResponse.FromString(message).outputs["x"].tensor_content == bytes(5000)


@pytest.mark.parametrize(
    ("chunks", "headers", "code"),
    [
        ([b""], {}, Code.INTERNAL),
        ([b"\x00\x00"], {}, Code.INTERNAL),
        ([framed(b"abc", size=5)], {}, Code.INTERNAL),
        ([framed(b"abc", size=1)], {}, Code.INTERNAL),
        ([framed(b"", size=LIMIT + 1)], {}, Code.RESOURCE_EXHAUSTED),
        ([framed(MESSAGE, 1)], {}, Code.INTERNAL),
        ([framed(MESSAGE, 1)], {b"grpc-encoding": b"gzip"}, Code.INTERNAL),
        ([framed(gzip.compress(MESSAGE)[:-9], 1)], {b"grpc-encoding": b"gzip"}, Code.INTERNAL),
        ([framed(gzip.compress(bytes(LIMIT + 1)), 1)], {b"grpc-encoding": b"gzip"}, Code.RESOURCE_EXHAUSTED),
        ([framed(MESSAGE, 1)], {b"grpc-encoding": b"snappy"}, Code.UNIMPLEMENTED),
        ([framed(MESSAGE)], {b"grpc-timeout": b"5 minutes"}, Code.INTERNAL),
        ([framed(MESSAGE)], {b"grpc-timeout": b"0n"}, Code.DEADLINE_EXCEEDED),
    ],
    ids=[
        *(
            "empty",
            "cut header",
            "cut message",
            "additional bytes",
            "too large",
            "marked but not compressed",
            "not gzip",
        ),
        *("cut gzip", "gzip bomb", "unknown compression", "bad timeout", "expired"),
    ],
)
def test_invalid_request_gets_a_status(chunks: list[bytes], headers: dict[bytes, bytes], code: Code) -> None:
    body, status = call(*chunks, headers=headers)
    assert body == b""
    assert Code(int(status[b"grpc-status"])) is code
    assert status[b"grpc-message"]


def test_client_that_disconnects_within_its_message_gets_no_response() -> None:
    assert call(framed(MESSAGE)[:100], disconnect=True) == (b"", {})
