"""Requests of a hostile client over REST: each gets a proper error, and the server continues to work."""

import gzip
import http.client
import io
import json
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import pytest

from serve.fronts import refusals
from tests.serve.attacks.conftest import MAX_BODY, MAX_ELEMENTS, MAX_IDLE_SECONDS, AttackedServer

PREDICT = "/v1/models/half_plus_two:predict"
WORDS = "/v1/models/words:predict"
CLASSIFY = "/v1/models/words:classify"


def address(attacked_server: AttackedServer) -> tuple[str, int]:
    parts = urlsplit(attacked_server.server.rest)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def post(
    attacked_server: AttackedServer,
    body: bytes,
    path: str = PREDICT,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> tuple[int, str]:
    """Sends a request. Returns the status of the response, and its error text."""
    connection = http.client.HTTPConnection(*address(attacked_server), timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode("utf-8", "surrogateescape")
    finally:
        connection.close()
    if response.status == 200:
        return 200, ""
    return response.status, str(json.loads(text)["error"])


def deep(depth: int, inside: str = "1.0") -> str:
    return "[" * depth + inside + "]" * depth


BODIES = {
    "nothing": b"",
    "a cut document": b'{"instances": [[1.0]',
    "not a document": b"\x00\x01\x02",
    "a lone surrogate": rb'{"instances": [["\ud800"]]}',
    "a number": b"1",
    "null": b"null",
    "a list": b"[[1.0]]",
    "no instances": b"{}",
    "instances that are not a list": b'{"instances": 1}',
    "no rows": b'{"instances": []}',
    "rows of different lengths": b'{"instances": [[1.0], [1.0, 2.0]]}',
    "rows of different kinds": b'{"instances": [[1.0], {"x": [1.0]}]}',
    "objects where numbers should be": b'{"instances": [[{"a": 1.0}]]}',
    "both formats": b'{"instances": [[1.0]], "inputs": [[1.0]]}',
    "a number too large": b'{"instances": [[1e999]]}',
    "a number too long": b'{"instances": [[' + b"9" * 100_000 + b"]]}",
    "invalid base64": b'{"instances": [{"b64": "***"}]}',
    "brackets that do not end": b"[" * 500_000,
    "braces that do not end": b'{"a":' * 200_000,
    "instances of great depth": f'{{"instances": {deep(100_000)}}}'.encode(),
    "inputs of great depth": f'{{"inputs": {deep(1000)}}}'.encode(),
    "a signature name of the wrong type": b'{"signature_name": 7, "instances": [[1.0]]}',
    "a signature that does not exist": b'{"signature_name": "../..", "instances": [[1.0]]}',
    "a key of a megabyte": b'{"' + b"k" * 1_000_000 + b'": 1}',
    "a hundred thousand keys": json.dumps({"instances": [{str(n): 1.0 for n in range(100_000)}]}).encode(),
}


@pytest.mark.parametrize("path", [PREDICT, WORDS, CLASSIFY])
def test_invalid_documents(attacked_server: AttackedServer, path: str) -> None:
    for name, body in BODIES.items():
        status, message = post(attacked_server, body, path)
        assert status in {400, 413}, name
        assert message, name
        assert len(message) < len(body) + 5000, name


@pytest.mark.parametrize("depth", [100, 500_000])
def test_deep_nesting_in_an_ignored_member(attacked_server: AttackedServer, depth: int) -> None:
    status, _ = post(attacked_server, f'{{"ignored": {deep(depth)}, "instances": [[1.0]]}}'.encode())
    assert status in {200, 400}


@pytest.mark.parametrize("text", ["1", "1.0", "NaN"])
def test_array_with_too_many_levels(attacked_server: AttackedServer, text: str) -> None:
    for depth, key, expected in (
        (70, "inputs", "levels deep"),
        (64, "inputs", "rank"),
        (66, "instances", "levels deep"),
    ):
        body = f'{{"{key}": {deep(depth, text)}}}'.encode()
        status, message = post(attacked_server, body, "/v1/models/image:predict")
        assert status == 400
        assert expected in message


def test_array_with_too_many_elements(attacked_server: AttackedServer) -> None:
    too_many = (MAX_ELEMENTS + 1) // 2
    file = io.BytesIO()
    np.save(file, np.ones((too_many + 1, 2), np.float16))
    for body, media_type in (
        (b'{"inputs": [' + b"[1,2]," * too_many + b"[1,2]]}", "application/json"),
        (file.getvalue(), "application/x-npy"),
    ):
        status, message = post(attacked_server, body, headers={"content-type": media_type})
        assert status == 400
        assert "--max_tensor_elements" in message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e-400", "-0.0"])
def test_special_numbers(attacked_server: AttackedServer, number: str) -> None:
    assert post(attacked_server, f'{{"instances": [[{number}]]}}'.encode())[0] == 200


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 5])
def test_convolution_input_of_wrong_rank(attacked_server: AttackedServer, rank: int) -> None:
    body = f'{{"inputs": {deep(rank)}}}'.encode()
    assert post(attacked_server, body, "/v1/models/image:predict")[0] == 400


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


BOMBS = {
    "gzip": gzip.compress(b"0" * (64 << 20), 6),
    "deflate": zlib.compress(b" " * (64 << 20), 6),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_small_body_that_decompresses_to_a_large_one(attacked_server: AttackedServer, encoding: str) -> None:
    before = attacked_server.resident()
    for _ in range(3):
        status, message = post(attacked_server, BOMBS[encoding], headers={"content-encoding": encoding})
        assert status in {400, 413}
        assert "max_decompressed_bytes" in message
    assert attacked_server.resident() - before < 64 << 20


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"not gzip"),
        ("gzip", gzip.compress(b'{"instances": [[1.0]]}', mtime=0)[:-9]),
        ("gzip", gzip.compress(b'{"instances": [[1.0]]}', mtime=0) + b"trailing"),
        ("br", b"\x0b\x02\x80"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0)),
    ],
)
def test_bodies_that_cannot_be_decompressed(attacked_server: AttackedServer, encoding: str, body: bytes) -> None:
    status, message = post(attacked_server, body, headers={"content-encoding": encoding})
    assert status in {400, 415, 501}
    assert message


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/x-npy", b"\x93NUMPY"),
        ("application/x-npy", b"\x93NUMPY\x01\x00\xff\xff" + b"{" * 100),
        ("application/x-npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}")),
        ("application/x-npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}")),
        ("application/x-npy", npy("__import__('os').abort()")),
        ("application/x-protobuf", b"\xff" * 100),
        ("application/x-protobuf", b""),
    ],
)  # fmt: skip
def test_invalid_arrays(attacked_server: AttackedServer, media_type: str, body: bytes) -> None:
    status, message = post(attacked_server, body, headers={"content-type": media_type})
    assert status == 400
    assert message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/../../etc/passwd"),
        ("GET", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd/metadata"),
        ("GET", "/v1/models/half_plus_two/versions/99999999999999999999999"),
        ("GET", "/v1/models/half_plus_two/versions/-1"),
        ("GET", "/v1/models/%00"),
        ("GET", "/v1/models/%ff%fe"),
        ("POST", "/v1/models/half_plus_two:explode"),
        ("POST", "/v1/models/:predict"),
        ("PUT", PREDICT),
        ("DELETE", "/v1/models/half_plus_two"),
    ],
)
def test_invalid_paths(attacked_server: AttackedServer, method: str, path: str) -> None:
    status, message = post(attacked_server, b"", path, method=method)
    assert status in {400, 404, 405}
    assert message


@pytest.mark.parametrize("path", [b"/v1/models/\xff\xfe", b"/v1/models/\x80", b"/v1/models/%ff"])
def test_http2_paths_that_are_not_text(attacked_server: AttackedServer, front: str, path: bytes) -> None:
    if front == "python":
        pytest.skip("The Python front speaks HTTP/1.1 only")
    fields = {b":method": b"GET", b":scheme": b"http", b":authority": b"a", b":path": path}
    # HPACK without tables, and one frame that opens and ends the stream.
    headers = b"".join(bytes([0, len(name)]) + name + bytes([len(value)]) + value for name, value in fields.items())
    settings, opening = bytes(3) + b"\x04" + bytes(5), len(headers).to_bytes(3, "big") + b"\x01\x05\x00\x00\x00\x01"
    with connected(attacked_server) as peer:
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + opening + headers)
        received = b""
        while b"Malformed request" not in received:
            piece = peer.recv(4096)
            assert piece, received
            received += piece


def test_body_larger_than_the_limit_is_refused_before_it_is_sent(attacked_server: AttackedServer) -> None:
    with connected(attacked_server) as peer:
        peer.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode())
        assert read_all(peer).startswith(b"HTTP/1.1 413 ")


def test_body_of_unknown_length_is_refused_at_the_limit(attacked_server: AttackedServer) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with connected(attacked_server) as peer:
        peer.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(3 * MAX_BODY // 0x100000):
                peer.sendall(chunk)
        except OSError:
            return  # the server has closed the connection
        assert read_all(peer).startswith(b"HTTP/1.1 413 ")


def test_headers_that_do_not_end(attacked_server: AttackedServer) -> None:
    with connected(attacked_server) as peer:
        try:
            peer.sendall(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n")
            for _ in range(64):
                peer.sendall(b"X-Long: " + b"x" * 16_000 + b"\r\n")
        except OSError:
            return
        assert read_all(peer)[:13] in {b"", b"HTTP/1.1 431 ", b"HTTP/1.1 400 "}


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /v1/mod",
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\n",
        b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=["nothing", "half a line", "half the headers", "half the body"],
)
def test_client_that_stalls_is_disconnected(attacked_server: AttackedServer, front: str, sent: bytes) -> None:
    if not sent and front == "native":
        pytest.skip("Envoy waits for --keep_alive_seconds for a connection's first byte")
    with connected(attacked_server) as peer:
        peer.sendall(sent)
        status, message = read_error(peer)
        assert status == 408
        assert f"{MAX_IDLE_SECONDS} s" in message
        assert read_all(peer) == b""


def test_slow_client_is_not_disconnected(attacked_server: AttackedServer) -> None:
    body = b'{"instances": [[1.0]]}'
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with connected(attacked_server) as peer:
        peer.sendall(head.encode())
        # The pauses are longer together than a client may stall, but each of them is shorter.
        for piece in (body[:1], body[1:2], body[2:3], body[3:]):
            time.sleep(MAX_IDLE_SECONDS * 0.4)
            peer.sendall(piece)
        assert read_all(peer).startswith(b"HTTP/1.1 200 ")


GET = b"GET /v1/models/half_plus_two HTTP/1.1\r\nHost: a\r\n"
POST = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\n".encode()
# The request and the status and text of its refusal, which is the same on both fronts.
REFUSED: dict[str, tuple[bytes, int, str]] = {
    "no Host": (b"GET /v1/models HTTP/1.1\r\n\r\n", 400, refusals.NO_HOST),
    "two Hosts": (GET + b"Host: b\r\n\r\n", 400, refusals.TWO_HOSTS),
    "the same Host twice": (GET + b"Host: a\r\n\r\n", 400, refusals.TWO_HOSTS),
    "a Host with a space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, refusals.INVALID_HOST),
    "a Host with raw bytes": (b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", 400, refusals.INVALID_HOST),
    "a lower-case method": (GET.lower() + b"\r\n", 400, refusals.INVALID_HTTP),
    "an unknown method": (b"BREW" + GET[3:] + b"\r\n", 400, refusals.INVALID_HTTP),
    "raw bytes in the path": (b"GET /v1/models/\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.INVALID_HTTP),
    "raw UTF-8 in the path": (b"GET /v1/models/\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.INVALID_HTTP),
    "raw bytes in the query": (b"GET /v1/models?\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.INVALID_HTTP),
    "a space in the path": (b"GET /v1/mod els HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.INVALID_HTTP),
    "a path without slash": (b"GET v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.INVALID_HTTP),
    "a star": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.INVALID_HTTP),
    "another scheme": (b"GET ftp://a/v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.INVALID_HTTP),
    "a fragment": (b"GET /v1/models#a HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.FRAGMENT),
    "bytes that are not UTF-8": (b"GET /v1/models/%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.PATH_NOT_UTF8),
    "a wrong escape": (b"GET /v1/models/%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.PATH_NOT_UTF8),
    "another protocol": (b"GET / FTP/1.1\r\nHost: a\r\n\r\n", 400, refusals.INVALID_HTTP),
    "words": (b"hello world\r\n\r\n", 400, refusals.INVALID_HTTP),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400, refusals.INVALID_HTTP),
    "a large header": (GET + b"X: " + b"x" * 100_000 + b"\r\n\r\n", 431, refusals.headers_too_large(64 << 10)),
    "a long path": (b"GET " + b"/a" * 100_000 + b" HTTP/1.1\r\n\r\n", 431, refusals.headers_too_large(64 << 10)),
    "a header without colon": (GET + b"X\r\n\r\n", 400, refusals.INVALID_HTTP),
    "a zero byte in a header": (GET + b"X: \0\r\n\r\n", 400, refusals.INVALID_HTTP),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400, refusals.INVALID_HTTP),
    "a length that is no number": (POST + b"Content-Length: abc\r\n\r\n", 400, refusals.INVALID_HTTP),
    "a length beyond 64 bits": (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400, refusals.INVALID_HTTP),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, refusals.INVALID_HTTP),
    "a length and chunks": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, refusals.INVALID_HTTP
    ),
    "a wrong chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", 400, refusals.INVALID_HTTP),
    "a chunk without end": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n", 400, refusals.INVALID_HTTP),
    "another encoding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, refusals.TRANSFER_ENCODING),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_requests_that_the_http_layer_refuses(attacked_server: AttackedServer, case: str) -> None:
    sent, status, message = REFUSED[case]
    with connected(attacked_server) as peer:
        peer.sendall(sent)
        assert read_error(peer) == (status, message)


def test_refusal_follows_the_response_to_the_request_before(attacked_server: AttackedServer) -> None:
    with connected(attacked_server) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nbrew tea\r\n\r\n")
        received = b""
        while not received.endswith(b"ok\n"):
            received += peer.recv(1)
        assert received.startswith(b"HTTP/1.1 200 ")
        assert read_error(peer) == (400, refusals.INVALID_HTTP)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v1/models HTTP/1.0\r\n\r\n",
        b"GET /v1/models\r\n\r\n",
        GET + b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        GET + b"Connection: close\r\n" + b"X: x\r\n" * 500 + b"\r\n",
    ],
    ids=["HTTP/1.0", "HTTP/0.9", "an upgrade", "many headers"],
)
def test_requests_that_the_http_layer_accepts(attacked_server: AttackedServer, sent: bytes) -> None:
    with connected(attacked_server) as peer:
        peer.sendall(sent)
        assert read_all(peer).split()[1] == b"200"


@pytest.mark.parametrize(
    "sent",
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100, b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 1000],
    ids=["HTTP/2", "another HTTP", "empty lines"],
)
def test_bytes_that_are_not_a_request(attacked_server: AttackedServer, sent: bytes) -> None:
    with connected(attacked_server) as peer:
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            answer = read_all(peer)
        except OSError:
            return
        assert b"Traceback" not in answer


def read_error(peer: socket.socket) -> tuple[int, str]:
    """Returns the status and the text of the next response, which must be an error of the REST API."""
    response = http.client.HTTPResponse(peer)
    response.begin()
    assert response.headers["content-type"] == "application/json"
    content = json.loads(response.read())
    assert list(content) == ["error"]
    return response.status, content["error"]


@contextmanager
def connected(attacked_server: AttackedServer) -> Iterator[socket.socket]:
    with socket.create_connection(address(attacked_server), timeout=20) as peer:
        yield peer


def read_all(peer: socket.socket) -> bytes:
    """Returns what the server sends until it closes the connection. Raises TimeoutError if it does not close it."""
    received = b""
    try:
        while data := peer.recv(65536):
            received += data
    except ConnectionError:
        pass
    return received
