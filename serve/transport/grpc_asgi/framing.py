"""Length-prefixed messages: one byte says whether it is compressed, four say how long it is."""

import zlib
from collections.abc import AsyncIterator

from starlette.types import Message, Receive

from serve.errors import Code, ServeError

HEADER = 5
ENCODINGS = ("identity", "gzip", "deflate")
ACCEPTED = b"identity,gzip,deflate"
# Below this a compressed message is no smaller on the wire.
WORTH_COMPRESSING = 1024
# zlib's window sizes: 31 writes and reads gzip, 15 the zlib format that HTTP calls deflate.
_WBITS = {"gzip": 31, "deflate": 15}


class ClientDisconnectedError(Exception):
    """The client closed its stream before the request was whole."""


def frame(message: bytes, encoding: str = "identity") -> bytes:
    """The message with its header, compressed when that is asked for and worth it."""
    if encoding != "identity" and len(message) >= WORTH_COMPRESSING:
        packer = zlib.compressobj(1, wbits=_WBITS[encoding])
        message = packer.compress(message) + packer.flush()
        return b"".join((b"\x01", len(message).to_bytes(4, "big"), message))
    return b"".join((b"\x00", len(message).to_bytes(4, "big"), message))


async def read_message(receive: Receive, encoding: str, limit: int) -> bytes:
    """The one message of a unary request. Does not wait for the end of the stream that follows it.

    Errors: INTERNAL for a broken frame or none, RESOURCE_EXHAUSTED beyond `limit` bytes (packed or unpacked).
    """
    event = await receive()
    body: bytes = _body(event)
    # Nearly every request: the whole message in the first event.
    if event["more_body"] or len(body) <= HEADER:
        header, message = await _rest_of_message(receive, event, body, limit)
    else:
        header, message = body[:HEADER], body[HEADER:]
    size = int.from_bytes(header[1:], "big")
    if len(message) != size:
        raise ServeError(Code.INTERNAL, f"The message's header announces {size} bytes; {len(message)} came.")
    if size > limit:
        raise _too_large(size, limit)
    return _unpack(header[0], message, encoding, limit)


async def read_messages(receive: Receive, encoding: str, limit: int) -> AsyncIterator[bytes]:
    """The messages of a streaming request, each as soon as it is whole, until the client closes its side.

    Errors as of `read_message`.
    """
    pending, more = b"", True
    while more:
        event = await receive()
        pending, more = pending + _body(event), event["more_body"]
        while len(pending) >= HEADER:
            size = int.from_bytes(pending[1:HEADER], "big")
            if size > limit:
                raise _too_large(size, limit)
            if len(pending) < HEADER + size:
                break
            yield _unpack(pending[0], pending[HEADER : HEADER + size], encoding, limit)
            pending = pending[HEADER + size :]
    if pending:
        raise ServeError(Code.INTERNAL, "The request ends inside a message.")


async def _rest_of_message(receive: Receive, event: Message, body: bytes, limit: int) -> tuple[bytes, bytes]:
    """The header, and what came of the message after it."""
    while len(body) < HEADER and event["more_body"]:
        event = await receive()
        body += _body(event)
    if len(body) < HEADER:
        raise ServeError(Code.INTERNAL, "The request holds no message.")
    size = int.from_bytes(body[1:HEADER], "big")
    if size > limit:
        raise _too_large(size, limit)
    # The header is cut off before the chunks become one: a large message is copied once.
    chunks = [body[HEADER:]]
    have = len(chunks[0])
    while have < size and event["more_body"]:
        event = await receive()
        chunks.append(_body(event))
        have += len(chunks[-1])
    return body[:HEADER], b"".join(chunks)


def _body(event: Message) -> bytes:
    if event["type"] == "http.disconnect":
        raise ClientDisconnectedError
    body: bytes = event.get("body", b"")
    return body


def _unpack(flag: int, message: bytes, encoding: str, limit: int) -> bytes:
    if not flag:
        return message
    if encoding == "identity":
        raise ServeError(Code.INTERNAL, "The message is marked as compressed, but grpc-encoding names no compression.")
    unpacker = zlib.decompressobj(_WBITS[encoding])
    try:
        message = unpacker.decompress(message, min(limit, 2**31 - 1) + 1)
    except zlib.error as error:
        raise ServeError(Code.INTERNAL, f"The message cannot be unpacked as {encoding}: {error}") from error
    if len(message) > limit:
        raise _too_large(len(message), limit)
    if not unpacker.eof:
        raise ServeError(Code.INTERNAL, f"The message cannot be unpacked as {encoding}: it is cut off.")
    return message


def _too_large(size: int, limit: int) -> ServeError:
    return ServeError(Code.RESOURCE_EXHAUSTED, f"Received message larger than max ({size} vs. {limit})")
