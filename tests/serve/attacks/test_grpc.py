"""Requests of a hostile client over gRPC: each gets a proper error, and the server continues to work."""

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from tests.serve.attacks.conftest import MAX_BODY, AttackedServer
from tfx_export import wire
from tfx_export.savedmodel import tensor

SERVICE = "/tensorflow.serving.PredictionService"
PREDICT = f"{SERVICE}/Predict"
REFUSALS = {
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "INTERNAL",  # the code of gRPC for a message that cannot be parsed
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
}


def send(attacked_server: AttackedServer, message: bytes, path: str = PREDICT, **options: Any) -> tuple[str, str]:
    """Sends these bytes. Returns the code and message of the response."""
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(attacked_server.server.grpc, unlimited) as channel:
        try:
            channel.unary_unary(path)(message, timeout=30, **options)
        except grpc.RpcError as error:
            return error.code().name, error.details() or ""
    return "OK", ""


def predict(x: wire.TensorProto | None = None, *, model: str = "half_plus_two", name: str = "x") -> wire.PredictRequest:
    request = wire.PredictRequest()
    request.model_spec.name = model
    request.inputs[name].CopyFrom(x if x is not None else tensor.encode(np.ones((1, 1), np.float32)))
    return request


def proto(text: str) -> wire.TensorProto:
    return wire.parse_text(wire.TensorProto, text)


def dims(*sizes: int) -> str:
    return "tensor_shape { " + " ".join(f"dim {{ size: {size} }}" for size in sizes) + " }"


TENSORS = {
    "far more elements than bytes": f"dtype: DT_FLOAT {dims(1 << 20, 1 << 20)} float_val: 1",
    "a shape that overflows": f"dtype: DT_FLOAT {dims(1 << 32, 1 << 32, 1 << 32)}",
    "one dimension that overflows": f"dtype: DT_FLOAT {dims((1 << 63) - 1)}",
    "an empty tensor that overflows": f"dtype: DT_FLOAT {dims(0, (1 << 63) - 1, (1 << 63) - 1)}",
    "a negative dimension": f"dtype: DT_FLOAT {dims(-5)} float_val: 1",
    "a negative dimension of unknown rank": "dtype: DT_FLOAT tensor_shape { dim { size: -1 } unknown_rank: true }",
    "more dimensions than are possible": f"dtype: DT_FLOAT {dims(*[1] * 300)} float_val: 1",
    "content that is too short": f'dtype: DT_FLOAT {dims(4)} tensor_content: "abc"',
    "content that is too long": f'dtype: DT_FLOAT {dims(1)} tensor_content: "abcdefgh"',
    "no dtype": f"{dims(1, 1)} float_val: 1",
    "a dtype that does not exist": f"dtype: 4711 {dims(1, 1)}",
    "a resource": f"dtype: DT_RESOURCE {dims(1, 1)} resource_handle_val {{ device: 'cpu' name: 'x' }}",
    "a variant": f"dtype: DT_VARIANT {dims(1, 1)} variant_val {{ type_name: 'x' }}",
    "a wrong dtype": f"dtype: DT_STRING {dims(1, 1)} string_val: 'x'",
    "strings with wrong lengths": f'dtype: DT_STRING {dims(2)} tensor_content: "\\377\\377\\377\\377\\017\\001x"',
    "strings that do not end": f'dtype: DT_STRING {dims(1 << 19)} tensor_content: "\\001"',
}


@pytest.mark.parametrize("text", TENSORS.values(), ids=TENSORS.keys())
def test_invalid_tensors(attacked_server: AttackedServer, text: str) -> None:
    code, message = send(attacked_server, predict(proto(text)).SerializeToString())
    assert code in REFUSALS
    assert message


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 5, 8, 60])
def test_convolution_input_of_wrong_rank(attacked_server: AttackedServer, rank: int) -> None:
    x = tensor.encode(np.ones([1] * rank, np.float32))
    code, message = send(attacked_server, predict(x, model="image").SerializeToString())
    assert code == "INVALID_ARGUMENT"
    assert message


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 5, 8, 60])
@pytest.mark.parametrize("signature", ["loop", "branch", "reshaped"])
@pytest.mark.parametrize("value", [1, -1])
def test_hidden_convolution_input_of_wrong_rank(
    attacked_server: AttackedServer, signature: str, rank: int, value: int
) -> None:
    x = tensor.encode(np.full([1] * rank, value, np.float32))
    request = predict(x, model="hidden")
    request.model_spec.signature_name = signature
    if signature == "reshaped":
        request.inputs["shape"].CopyFrom(tensor.encode(np.ones(rank, np.int32)))
    code, message = send(attacked_server, request.SerializeToString())
    assert code == "INVALID_ARGUMENT"
    assert message


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 0, 0, 3), (1, 8, 8, 4), (1, 1, 1, 3)])
def test_convolution_input_of_wrong_shape(attacked_server: AttackedServer, shape: tuple[int, ...]) -> None:
    x = tensor.encode(np.ones(shape, np.float32))
    code, _ = send(attacked_server, predict(x, model="image").SerializeToString())
    assert code in {"OK", "INVALID_ARGUMENT"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38])
def test_infinite_and_huge_numbers(attacked_server: AttackedServer, value: float) -> None:
    x = tensor.encode(np.full((1, 1), value, np.float32))
    assert send(attacked_server, predict(x).SerializeToString())[0] == "OK"


def _nested(depth: int) -> bytes:
    """Returns nested messages, each in field 1 of the next."""
    data = b""
    for _ in range(depth):
        data = b"\x0a" + _varint(len(data)) + data
        if len(data) > 60_000:
            break
    return data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


WHOLE = predict().SerializeToString()
MESSAGES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a cut message": lambda: WHOLE[:-3],
    "another cut message": lambda: WHOLE[: len(WHOLE) // 2],
    "noise": lambda: bytes(range(256)) * 16,
    "a length beyond the end": lambda: b"\x0a\xff\xff\xff\xff\x0f",
    "a group that does not end": lambda: b"\x0b" * 1000,
    "messages in messages": lambda: _nested(20_000),
    "a name that is not text": lambda: b"\x0a\x04\x0a\x02\xff\xfe",
    "a name of a megabyte": lambda: predict(model="m" * 1_000_000).SerializeToString(),
    "a name that is a path": lambda: predict(model="../../../etc/passwd").SerializeToString(),
    "an input with a wrong name": lambda: predict(name="x\0\n\x1b[2J").SerializeToString(),
    "a hundred thousand inputs": lambda: b"".join(
        b"\x12" + _varint(len(entry)) + entry
        for entry in (b"\x0a" + _varint(len(name)) + name for name in (str(n).encode() for n in range(100_000)))
    ),
    "a hundred thousand outputs": lambda: (
        WHOLE + b"".join(b"\x1a" + _varint(len(name)) + name for name in (str(n).encode() for n in range(100_000)))
    ),
}


@pytest.mark.parametrize("make", MESSAGES.values(), ids=MESSAGES.keys())
def test_invalid_messages(attacked_server: AttackedServer, make: Callable[[], bytes]) -> None:
    for method in ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata"):
        code, message = send(attacked_server, make(), f"{SERVICE}/{method}")
        assert code in REFUSALS, method
        assert len(message) <= 1024 + len("...TRUNCATED")


def test_examples_with_wrong_features(attacked_server: AttackedServer) -> None:
    request = wire.ClassificationRequest()
    request.model_spec.name = "words"
    request.model_spec.signature_name = "classify"
    example = request.input.example_list.examples.add()
    for values in ([], [b"a", b"b", b"c"], [b"\xff" * 1000]):
        del example.features.feature["word"].bytes_list.value[:]
        example.features.feature["word"].bytes_list.value.extend(values)
        code, _ = send(attacked_server, request.SerializeToString(), "/tensorflow.serving.PredictionService/Classify")
        assert code in {"OK", "INVALID_ARGUMENT"}


def test_body_larger_than_the_limit(attacked_server: AttackedServer) -> None:
    code, message = send(attacked_server, b"\0" * (MAX_BODY + 1))
    assert code == "RESOURCE_EXHAUSTED"
    assert "larger than max" in message


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_small_body_that_decompresses_to_a_large_one(
    attacked_server: AttackedServer, compression: grpc.Compression
) -> None:
    before = attacked_server.resident()
    for _ in range(3):
        code, _ = send(attacked_server, b"\0" * (128 << 20), compression=compression)
        assert code in {"RESOURCE_EXHAUSTED", "INTERNAL"}
    assert attacked_server.resident() - before < 3 * (64 << 20)


def test_many_different_output_filters(attacked_server: AttackedServer) -> None:
    request = predict(tensor.encode(np.ones(1, np.float32)))
    request.model_spec.signature_name = "vector"
    for outputs in (["y"], ["x2"], ["y", "x2"], ["x2", "y"], ["y"] * 1000, [""], ["\0"]):
        del request.output_filter[:]
        request.output_filter.extend(outputs)
        assert send(attacked_server, request.SerializeToString())[0] in {"OK", "INVALID_ARGUMENT"}


def test_unknown_methods_and_services(attacked_server: AttackedServer) -> None:
    for path in ("/", "/x", "/tensorflow.serving.PredictionService/Explode", "/" + "a" * 5000, "/tensorflow//Predict"):
        assert send(attacked_server, b"", path)[0] == "UNIMPLEMENTED"


@pytest.mark.parametrize("size", [1000, 100_000])
def test_huge_metadata(attacked_server: AttackedServer, size: int) -> None:
    metadata = [(f"key{number}", "v" * size) for number in range(1_000_000 // size)]
    code, _ = send(attacked_server, WHOLE, metadata=metadata)
    assert code in {"OK", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "UNKNOWN"}
