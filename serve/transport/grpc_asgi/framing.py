"""Length-prefixed messages: a byte for the compression flag, four bytes for the length, then the message."""

import zlib
from collections.abc import AsyncIterator

from starlette.types import Message, Receive

from serve.errors import Code, ServeError

HEADER = 5
ENCODINGS = ("identity", "gzip", "deflate")
ACCEPTED = b"identity,gzip,deflate"
# Compressing a message with fewer bytes than this does not make it smaller on the wire.
MIN_COMPRESSED = 1024
# zlib's window sizes: 31 means gzip, 15 the zlib format, which HTTP calls deflate.
_WBITS = {"gzip": 31, "deflate": 15}


class ClientDisconnectedError(Exception):
    """The client closed its stream before the request was complete."""


def frame(message: bytes, encoding: str = "identity") -> bytes:
    """Returns the message with its header, compressed with `encoding` if it is large enough."""
    if encoding != "identity" and len(message) >= MIN_COMPRESSED:
        compressor = zlib.compressobj(1, wbits=_WBITS[encoding])
        message = compressor.compress(message) + compressor.flush()
        return b"".join((b"\x01", len(message).to_bytes(4, "big"), message))
    return b"".join((b"\x00", len(message).to_bytes(4, "big"), message))


async def read_message(receive: Receive, encoding: str, limit: int) -> bytes:
    """Returns the message of a unary request. Does not wait for the end of the stream after it.

    Raises INTERNAL for a broken or missing frame, RESOURCE_EXHAUSTED for more than `limit` bytes, compressed or not.
    """
    event = await receive()
    body: bytes = _body(event)
    # Nearly every request arrives complete in the first event.
    if event["more_body"] or len(body) <= HEADER:
        header, message = await _rest_of_message(receive, event, body, limit)
    else:
        header, message = body[:HEADER], body[HEADER:]
    size = int.from_bytes(header[1:], "big")
    if len(message) != size:
        raise ServeError(Code.INTERNAL, f"The message's header announces {size} bytes; {len(message)} were received.")
    if size > limit:
        raise _too_large(size, limit)
    return _decompress(header[0], message, encoding, limit)


async def read_messages(receive: Receive, encoding: str, limit: int) -> AsyncIterator[bytes]:
    """Yields the messages of a streaming request, each as soon as it is complete, until the client closes its side.

    Raises the errors of `read_message`.
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
            yield _decompress(pending[0], pending[HEADER : HEADER + size], encoding, limit)
            pending = pending[HEADER + size :]
    if pending:
        raise ServeError(Code.INTERNAL, "The request ends inside a message.")


async def _rest_of_message(receive: Receive, event: Message, body: bytes, limit: int) -> tuple[bytes, bytes]:
    """Returns the header, and the bytes of the message that were received after it."""
    while len(body) < HEADER and event["more_body"]:
        event = await receive()
        body += _body(event)
    if len(body) < HEADER:
        raise ServeError(Code.INTERNAL, "The request holds no message.")
    size = int.from_bytes(body[1:HEADER], "big")
    if size > limit:
        raise _too_large(size, limit)
    # The header is cut off before the chunks are joined, so that a large message is copied only once.
    chunks = [body[HEADER:]]
    received = len(chunks[0])
    while received < size and event["more_body"]:
        event = await receive()
        chunks.append(_body(event))
        received += len(chunks[-1])
    return body[:HEADER], b"".join(chunks)


def _body(event: Message) -> bytes:
    if event["type"] == "http.disconnect":
        raise ClientDisconnectedError
    body: bytes = event.get("body", b"")
    return body


def _decompress(flag: int, message: bytes, encoding: str, limit: int) -> bytes:
    if not flag:
        return message
    if encoding == "identity":
        raise ServeError(Code.INTERNAL, "The message is marked as compressed, but grpc-encoding names no compression.")
    decompressor = zlib.decompressobj(_WBITS[encoding])
    try:
        message = decompressor.decompress(message, min(limit, 2**31 - 1) + 1)
    except zlib.error as error:
        raise ServeError(Code.INTERNAL, f"The message cannot be decompressed as {encoding}: {error}") from error
    if len(message) > limit:
        raise _too_large(len(message), limit)
    if not decompressor.eof:
        raise ServeError(Code.INTERNAL, f"The message cannot be decompressed as {encoding}: it is incomplete.")
    return message


def _too_large(size: int, limit: int) -> ServeError:
    return ServeError(Code.RESOURCE_EXHAUSTED, f"Received message larger than max ({size} vs. {limit})")
