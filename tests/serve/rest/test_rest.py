"""The REST interface: in memory, and over the sockets of both fronts."""

import gzip
import io
import json
import socket
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.support.server import RunningServer, Server, wait_until
from tests.support.slow_model import SECOND
from tfx_export import wire

PLUS = "/v1/models/plus"
VECTOR = "/v1/models/half_plus_two"


@pytest.mark.parametrize(
    ("path", "request_body", "answer"),
    [
        (PLUS, {"instances": [1, 2]}, {"predictions": [5.0, 6.0]}),
        (PLUS, {"inputs": [1, 2]}, {"outputs": [5.0, 6.0]}),
        (PLUS, {"instances": [{"x": 1}]}, {"predictions": [5.0]}),
        (f"{PLUS}/versions/4", {"inputs": {"x": [0.5]}}, {"outputs": [4.5]}),
        (f"{PLUS}/versions/0004", {"inputs": {"x": [0.5]}}, {"outputs": [4.5]}),
        ("/V1/Models/plus", {"instances": [1]}, {"predictions": [5.0]}),
        ("/v1/models/pl%75s", {"instances": [1]}, {"predictions": [5.0]}),
        (VECTOR, {"instances": [2.0, 3.0, 4.0]}, {"predictions": [3.0, 3.5, 4.0]}),
        (VECTOR, {"instances": [[2.0]]}, {"predictions": [[3.0]]}),
        (VECTOR, {"signature_name": "vector", "instances": [2]}, {"predictions": [{"x2": 4.0, "y": 3.0}]}),
        (VECTOR, {"signature_name": "vector", "inputs": [2, 4]}, {"outputs": {"x2": [4.0, 8.0], "y": [3.0, 4.0]}}),
        (VECTOR, {"signature_name": "", "inputs": [2]}, {"outputs": [3.0]}),
        ("/v1/models/defaulted", {"inputs": {"x": [1, 2], "scale": 2}}, {"outputs": [2.0, 4.0]}),
        ("/v1/models/slow", {"inputs": 1}, {"outputs": 0.0}),
        (
            "/v1/models/words",
            {"instances": ["apple", {"b64": "Y2hlcnJ5"}]},
            {"predictions": [
                {"echo_bytes": {"b64": "YXBwbGU="}, "length": 5, "price": 1.0},
                {"echo_bytes": {"b64": "Y2hlcnJ5"}, "length": 6, "price": 3.0},
            ]},
        ),
    ],
)  # fmt: skip
def test_predict(any_server: Server, path: str, request_body: Any, answer: Any) -> None:
    reply = any_server.post(f"{path}:predict", request_body)
    assert (reply.status, reply.json) == (200, answer)


def test_many_floats_are_returned_exactly(any_server: Server) -> None:
    image = np.random.default_rng(7).random((2, 8, 8, 3), np.float32)
    x = np.random.default_rng(8).random(200_000, np.float32)
    reply = any_server.post("/v1/models/image:predict", {"instances": image.tolist()})
    assert np.array(reply.json["predictions"]).shape == (2, 8, 8, 4)
    reply = any_server.post(f"{PLUS}:predict", {"instances": x.tolist()})
    assert (np.array(reply.json["predictions"], np.float32) == x + np.float32(4)).all()


def test_nan_and_infinity_in_and_out(any_server: Server) -> None:
    reply = any_server.request("POST", f"{PLUS}:predict", '{"instances": [NaN, Infinity, -Infinity]}')
    assert reply.body == b'{\n    "predictions": [NaN,Infinity,-Infinity]\n}'


EXAMPLES = {"context": {"word": "banana"}, "examples": [{"times": 2.0}, {"word": {"b64": "Y2hlcnJ5"}}, {}]}


def test_classify_and_regress(any_server: Server) -> None:
    reply = any_server.post("/v1/models/words:classify", {"signature_name": "classify", **EXAMPLES})
    prices = [4.0, 3.0, 2.0]
    assert reply.json == {"results": [[["dear", price], ["cheap", 1 - price]] for price in prices]}
    reply = any_server.post("/v1/models/words:regress", {"signature_name": "regress", **EXAMPLES})
    assert reply.json == {"results": prices}


CLASSIFY = "/v1/models/words:classify"
REGRESS = "/v1/models/words:regress"
NAMED = '"signature_name": "regress"'


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/v1/foo?a=b", "", 400, "Malformed request: GET /v1/foo"),
        ("GET", "/nothing", "", 404, "Not found: GET /nothing. GET /v1/models lists the models"),
        ("POST", "/predict", "{}", 404, "Not found: POST /predict. "),
        ("OPTIONS", "/v1", "", 404, "Not found: OPTIONS /v1. "),
        ("DELETE", "//v1/models/plus", "", 404, "Not found: DELETE //v1/models/plus. "),
        ("PATCH", "/V2/models/plus", "{}", 404, "Not found: PATCH /V2/models/plus. "),
        ("POST", "/healthz", "", 400, "Malformed request: POST /healthz"),
        ("GET", "/V1/foo", "", 400, "Malformed request: GET /V1/foo"),
        ("POST", "/v1/models/plus", "{}", 400, "Malformed request: POST /v1/models/plus"),
        ("POST", "/v1/models/plus:explain", "{}", 400, "Malformed request: POST /v1/models/plus:explain"),
        ("POST", "/v1/models/plus:PREDICT", "{}", 400, "Malformed request: POST /v1/models/plus:PREDICT"),
        ("GET", "/v1/models/plus:predict", "", 400, "Malformed request: GET /v1/models/plus:predict"),
        ("PUT", "/v1/models/plus", "", 400, "Malformed request: PUT /v1/models/plus"),
        ("DELETE", "/v1/models/plus", "", 400, "Malformed request: DELETE /v1/models/plus"),
        ("POST", "/v1/models/plus/version/4:predict", "{}", 400, "Malformed request"),
        ("POST", "/v1/models/plus/versions/x:predict", "{}", 400, "Malformed request"),
        ("POST", "/v1/models/plus/versions/4/labels/a:predict", "{}", 400, "Malformed request"),
        ("POST", "/v1/models/plus/metadata", "{}", 400, "Malformed request"),
        ("POST", f"/v1/models/plus/versions/{2**64}:predict", "{}", 400, "Failed to convert version: 18446744073709"),
        ("GET", f"/v1/models/plus/versions/{'9' * 5000}", "", 400, "Failed to convert version: 999"),
        ("OPTIONS", "/v1/models/plus:predict", "", 400, "Origin header is missing in CORS preflight"),
        ("POST", f"{PLUS}:predict", "", 400, "JSON Parse error: The document is empty"),
        ("POST", f"{PLUS}:predict", "instances = [1]", 400, "JSON Parse error: Invalid value. at offset: 0"),
        ("POST", f"{PLUS}:predict", "[1]", 400, "JSON Value: [1] Is not object"),
        ("POST", f"{PLUS}:predict", '{"instances": ["x", "y"]}', 400, "not of expected type: float"),
        ("POST", f"{PLUS}:predict", '{"signature_name": 100}', 400, "'signature_name' key must be a string value."),
        ("POST", f"{PLUS}:predict", '{"signature_name": "no", "instances": [1]}', 400,
         'Serving signature name: "no" not found in signature def'),
        ("POST", f"{PLUS}:predict", '{"instances": [[1, 2], [3]]}', 400, "Expecting tensor size: 2 but got: 1"),
        ("POST", f"{PLUS}:predict", "[" * 100_000, 400, "JSON Parse error"),
        ("POST", "/v1/models/slow:predict", '{"instances": [1]}', 400, ""),
        ("POST", "/v1/models/image:predict", '{"instances": [1, 2]}', 400, "rank"),
        ("POST", "/v1/models/no:predict", '{"instances": [1]}', 404, "Servable not found for request: Latest(no)"),
        ("POST", f"{PLUS}/versions/9:predict", '{"instances": [1]}', 404, "Servable not found for request: Specific"),
        ("POST", "/v1/models/no:predict", "{", 400, "JSON Parse error"),
        ("POST", f"{PLUS}/labels/no:predict", '{"instances": [1]}', 400, "Unrecognized servable version label: no"),
        ("GET", "/v1/models/no", "", 404, "Could not find any versions of model no"),
        ("GET", f"{PLUS}/versions/9", "", 404, "Could not find version 9 of model plus"),
        ("GET", "/v1/models/no/metadata", "", 404, "Servable not found for request: Latest(no)"),
        ("POST", "/v1/models/defaulted:predict", '{"instances": [{"x": 1}]}', 400, "keys must be equal to: scale,x"),
        ("POST", CLASSIFY, "{}", 400, "When method is classify, key 'examples' is expected and was not found"),
        ("POST", CLASSIFY, '{"examples": 1}', 400, "Expecting 'examples' value to be an list/array"),
        ("POST", CLASSIFY, '{"examples": []}', 400, "'examples' value is an empty array"),
        ("POST", CLASSIFY, '{"examples": [1]}', 400, "Example must be JSON object but got JSON Number"),
        ("POST", CLASSIFY, '{"context": [], "examples": [{}]}', 400, "Example must be JSON object but got JSON Array"),
        ("POST", CLASSIFY, '{"examples": [{}]}', 400, "Expected one or two output Tensors"),
        ("POST", CLASSIFY, '{"signature_name": "no", "examples": [{}]}', 400,
         "No signature was found with the name: no"),
        ("POST", REGRESS, f'{{{NAMED}, "examples": [{{"a": null}}]}}', 400,
         "Feature: a has element with unexpected JSON type: Null"),
        ("POST", REGRESS, f'{{{NAMED}, "examples": [{{"a": [1, [2]]}}]}}', 400,
         "Feature: a has element with unexpected JSON type: Array"),
        ("POST", REGRESS, f'{{{NAMED}, "examples": [{{"a": {{"b": 1}}}}]}}', 400,
         "Feature: a has element with unexpected JSON type: Object"),
        ("POST", REGRESS, f'{{{NAMED}, "examples": [{{"a": [1, 2.5]}}]}}', 400,
         "Unexpected element type in feature: a expecting type: int64"),
        ("POST", REGRESS, f'{{{NAMED}, "examples": [{{"a": [18446744073709551615]}}]}}', 400,
         "Feature: a has uint64_t element. Only int64_t is supported."),
        ("POST", REGRESS, f'{{{NAMED}, "examples": [{{"word": "apple", "times": 2}}]}}', 400, "int64"),
        ("POST", REGRESS, f'{{{NAMED}, "examples": [{{"word": "apple", "times": true}}]}}', 400, "int64"),
    ],
)  # fmt: skip
def test_refusals(any_server: Server, method: str, path: str, body: str, status: int, text: str) -> None:
    reply = any_server.request(method, path, body or None)
    assert reply.status == status, reply.body
    assert text in reply.error


def test_scalar_string_gives_scalar_outputs(any_server: Server) -> None:
    reply = any_server.post("/v1/models/words:predict", {"inputs": "apple"})
    assert reply.json == {"outputs": {"echo_bytes": {"b64": "YXBwbGU="}, "length": 5, "price": 1.0}}
    with any_server.client as client:
        answer = client.predict("words", {"word": np.array(b"apple", object)})
    assert {name: array.tolist() for name, array in answer.items()} == {
        "echo_bytes": b"apple",
        "length": 5,
        "price": 1.0,
    }


def test_invalid_utf8_is_kept(any_server: Server) -> None:
    reply = any_server.request("POST", "/v1/models/words:predict", b'{"instances": ["\xff\xfe"]}')
    assert reply.json["predictions"][0]["echo_bytes"] == {"b64": "//4="}
    reply = any_server.request("POST", "/v1/models/words:predict", b'{"signature_name": "\xff", "instances": ["a"]}')
    assert reply.status == 400
    assert b"\xff" in reply.body


@pytest.mark.parametrize("path", [PLUS, f"{PLUS}/versions/4", f"{PLUS}/labels/any"])
def test_status(any_server: Server, path: str) -> None:
    assert any_server.request("GET", path).json == {
        "model_version_status": [
            {"version": "4", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }


def test_metadata(any_server: Server) -> None:
    content = any_server.request("GET", "/v1/models/defaulted/metadata").json
    assert content["model_spec"] == {"name": "defaulted", "signature_name": "", "version": "1"}
    signature = content["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"] == {
        "name": "x:0",
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
    }


def test_models_are_listed(any_server: Server, all_models: Path) -> None:
    models = any_server.request("GET", "/v1/models").json["models"]
    assert {model["name"] for model in models} == {folder.name for folder in all_models.iterdir()}
    versions = {model["name"]: model["model_version_status"][0] for model in models}
    assert {version["state"] for version in versions.values()} == {"AVAILABLE"}
    assert all(version["load_report"]["load_seconds"] > 0 for version in versions.values())
    assert versions["image"]["load_report"]["preparation"] in ("prepared", "found prepared")
    assert "Assign" in versions["counter"]["load_report"]["reason"]
    # TensorFlow Serving's response has its members and no others.
    (status,) = any_server.request("GET", "/v1/models/plus").json["model_version_status"]
    assert status.keys() == {"version", "state", "status"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes(any_server: Server, path: str) -> None:
    reply = any_server.request("GET", path)
    assert (reply.status, reply.body) == (200, b"ok\n")
    assert any_server.request("HEAD", path).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP", "identity"])
def test_compressed_body(any_server: Server, encoding: str) -> None:
    body = json.dumps({"instances": [1.0] * 5000}).encode()
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}.get(encoding.lower(), body)
    reply = any_server.request("POST", f"{PLUS}:predict", packed, content_encoding=encoding)
    assert reply.json == {"predictions": [5.0] * 5000}


@pytest.mark.parametrize(
    ("body", "encoding", "text"),
    [
        (b"not gzip", "gzip", "The gzip body cannot be decompressed"),
        (gzip.compress(b"{}", mtime=0)[:-9], "gzip", "The gzip body cannot be decompressed"),
        (b"{}", "br", "Content-Encoding br is not supported"),
    ],
)
def test_body_that_cannot_be_decompressed_is_an_error(
    any_server: Server, body: bytes, encoding: str, text: str
) -> None:
    reply = any_server.request("POST", f"{PLUS}:predict", body, content_encoding=encoding)
    assert reply.status == 400
    assert text in reply.error


@pytest.mark.parametrize(
    ("accepted", "packed"), [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("", False)]
)
def test_response_is_compressed_if_the_client_accepts_gzip(any_server: Server, accepted: str, packed: bool) -> None:
    reply = any_server.post(f"{PLUS}:predict", {"instances": [1.0] * 5000}, accept_encoding=accepted)
    assert (reply.headers.get("content-encoding") == "gzip") == packed
    body = gzip.decompress(reply.body) if packed else reply.body
    assert json.loads(body) == {"predictions": [5.0] * 5000}


def test_protobuf_body(any_server: Server) -> None:
    request = wire.PredictRequest()
    request.model_spec.signature_name = "vector"
    request.inputs["x"].CopyFrom(wire.TensorProto(dtype=1, tensor_shape={"dim": [{"size": 2}]}, float_val=[2, 4]))
    request.output_filter.append("y")
    headers = {"content_type": "application/x-protobuf"}
    reply = any_server.request("POST", f"{VECTOR}:predict", request.SerializeToString(), **headers)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-protobuf")
    response = wire.PredictResponse.FromString(reply.body)
    assert list(response.outputs) == ["y"]
    assert list(response.outputs["y"].float_val) == [3.0, 4.0]
    assert (response.model_spec.name, response.model_spec.version.value) == ("half_plus_two", 1)
    reply = any_server.request("POST", f"{VECTOR}:predict", b"\xff\xff", **headers)
    assert reply.status == 400
    assert "not a valid tensorflow.serving.PredictRequest" in reply.error


def npy(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("path", "array", "expected"),
    [
        (f"{PLUS}:predict", np.array([1.0, 2.0]), np.array([5.0, 6.0], np.float32)),
        (f"{VECTOR}:predict?signature_name=vector&output=x2", np.array([1], np.float16), np.array([2.0], np.float32)),
        (f"{VECTOR}:predict", np.asfortranarray([[1.0], [2.0]]), np.array([[2.5], [3.0]], np.float32)),
        ("/v1/models/words:predict?output=echo_bytes", np.array(["ab", "c"]), np.array([b"ab", b"c"])),
    ],
)
def test_npy_body(any_server: Server, path: str, array: np.ndarray, expected: np.ndarray) -> None:
    reply = any_server.request("POST", path, npy(array), content_type="application/x-npy")
    assert reply.status == 200, reply.body
    answer = np.load(io.BytesIO(reply.body), allow_pickle=False)
    assert answer.dtype == expected.dtype
    assert answer.tolist() == expected.tolist()


HUGE = npy(np.zeros(1)).replace(b"(1,)", b"(9" + b"0" * 30 + b",)")


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (PLUS, b"", "The body is not a valid npy array"),
        (PLUS, npy(np.array([{}]), allow_pickle=True), "it holds Python objects"),
        (PLUS, npy(np.zeros(3))[:-1], "needs 24 bytes, not 23"),
        (PLUS, HUGE, "The body is not a valid npy array"),
        (PLUS, npy(np.array([1j])), "The input is DT_FLOAT, the array is complex128"),
        (PLUS, npy(np.array(["a"])), "The input is DT_FLOAT"),
        ("/v1/models/defaulted", npy(np.zeros(1)), "has the inputs scale, x"),
        ("/v1/models/words", npy(np.array(["a"])), "has the outputs echo_bytes, length, price"),
    ],
)
def test_npy_refusals(any_server: Server, path: str, body: bytes, text: str) -> None:
    reply = any_server.request("POST", f"{path}:predict", body, content_type="application/x-npy")
    assert reply.status == 400
    assert text in reply.error


def test_request_id_is_returned(any_server: Server) -> None:
    assert any_server.request("GET", PLUS, x_request_id="order-66").headers["x-request-id"] == "order-66"
    assert any_server.request("GET", PLUS).headers["x-request-id"]
    assert any_server.request("GET", "/nothing", x_request_id="order-67").headers["x-request-id"] == "order-67"


def test_no_cors_headers_by_default(any_server: Server) -> None:
    reply = any_server.request("OPTIONS", f"{PLUS}:predict", origin="https://example.org")
    assert (reply.status, reply.body) == (200, b"")
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_cors_timeout_and_limits(start_server: Callable[..., RunningServer], served_models: Path) -> None:
    server = start_server(
        f"--model_base_path={served_models}/slow",
        "--model_name=slow",
        "--rest_api_enable_cors_support",
        "--rest_api_timeout_in_ms=500",
        "--max_body_bytes=1000000",
        "--max_decompressed_bytes=1000000",
        "--keep_alive_seconds=1",
    )
    assert_connection_closes_once_it_is_idle(server.rest)
    slow = "/v1/models/slow:predict"
    for reply in (
        server.request("OPTIONS", slow, origin="https://example.org"),
        server.post(slow, {"inputs": 1}),
        server.post(slow, {"inputs": "x"}),
    ):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-allow-methods"] == "POST, GET"
        assert reply.headers["access-control-allow-headers"] == "Content-Type"
    reply = server.post(slow, {"inputs": 2 * SECOND})
    assert reply.status == 504
    assert "Timed out" in reply.error
    reply = server.request("POST", slow, b"", content_length="1000001")
    # A page on another site may read the error.
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (413, "*")
    bomb = gzip.compress(b" " * 50_000_000)
    reply = server.request("POST", slow, bomb, content_encoding="gzip")
    assert reply.status == 400
    assert "larger than 1000000 bytes once decompressed" in reply.error
    wait_until(lambda: server.post(slow, {"inputs": 1}).status == 200)


def assert_connection_closes_once_it_is_idle(url: str) -> None:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as peer:
        for _ in range(2):
            peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            received = b""
            while not received.endswith(b"ok\n"):
                piece = peer.recv(4096)
                assert piece, "closed although it was used"
                received += piece
        assert peer.recv(4096) == b""
