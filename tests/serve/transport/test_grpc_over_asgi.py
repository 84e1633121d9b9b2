"""gRPC over ASGI with an ordinary gRPC client, through Envoy, on every kind of listener."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.serve.transport.conftest import Connect
from tfx_export import wire

PREDICT = "/tensorflow.serving.PredictionService/Predict"
WATCH = "/grpc.health.v1.Health/Watch"


def predict(channel: grpc.Channel, name: str = "", *, size: int = 0, signature: str = "", **options: Any) -> Any:
    call = channel.unary_unary(
        PREDICT,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=wire.PredictResponse.FromString,
    )
    request = wire.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    request.inputs["x"].tensor_content = bytes(size)
    return call(request, **{"timeout": 30, **options})


def watch(channel: grpc.Channel, service: str) -> Any:
    call = channel.unary_stream(
        WATCH,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=wire.HealthCheckResponse.FromString,
    )
    return call(wire.HealthCheckRequest(service=service), timeout=30)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("size", [0, 1, 20_000, 20 << 20])
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_message_comes_back(channel: grpc.Channel, size: int, compression: grpc.Compression) -> None:
    response = predict(channel, size=size, compression=compression)
    assert response.outputs["x"].tensor_content == bytes(size)


def test_many_concurrent_calls(channel: grpc.Channel) -> None:
    call = channel.unary_unary(PREDICT)
    request = wire.PredictRequest()
    request.model_spec.name = "pause"
    calls = [call.future(request.SerializeToString(), timeout=30) for _ in range(100)]
    assert {waiting.code() for waiting in calls} == {grpc.StatusCode.OK}


@pytest.mark.parametrize(
    ("name", "code", "details"),
    [
        ("fail", grpc.StatusCode.FAILED_PRECONDITION, "50% of \u00fcber\nfailed"),
        ("crash", grpc.StatusCode.INTERNAL, "RuntimeError in the server; see its log"),
    ],
)
def test_failure_is_a_status_and_the_server_continues(
    channel: grpc.Channel, name: str, code: grpc.StatusCode, details: str
) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        predict(channel, name)
    assert (failure.value.code(), failure.value.details()) == (code, details)
    assert predict(channel, "echo").outputs


@pytest.mark.parametrize(
    ("path", "message", "code", "details"),
    [
        (
            PREDICT,
            b"\xff\xff",
            grpc.StatusCode.INTERNAL,
            "The message is not a valid tensorflow.serving.PredictRequest",
        ),
        (PREDICT + "s", b"", grpc.StatusCode.UNIMPLEMENTED, "which has ['Predict']"),
        ("/no.Service/Call", b"", grpc.StatusCode.UNIMPLEMENTED, "tensorflow.serving.PredictionService"),
        (PREDICT, bytes(65 << 20), grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    ],
    ids=["no message", "no method", "no service", "too large"],
)
def test_invalid_call_is_refused(
    channel: grpc.Channel, path: str, message: bytes, code: grpc.StatusCode, details: str
) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(path)(message, timeout=30)
    assert failure.value.code() == code
    assert details in failure.value.details()


def test_deadline_ends_the_handler(channel: grpc.Channel, request: pytest.FixtureRequest) -> None:
    name = f"deadline {request.node.name}"
    with pytest.raises(grpc.RpcError) as failure:
        predict(channel, "wait", signature=name, timeout=0.2)
    assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: name in predict(channel, "cancelled").model_spec.signature_name)


def test_client_that_disconnects_ends_the_handler(channel: grpc.Channel, request: pytest.FixtureRequest) -> None:
    name = f"cancel {request.node.name}"
    message = wire.PredictRequest()
    message.model_spec.name = "wait"
    message.model_spec.signature_name = name
    waiting = channel.unary_unary(PREDICT).future(message.SerializeToString())
    # The server answers a later call on the same channel, so the first call has arrived.
    predict(channel, "pause")
    waiting.cancel()
    eventually(lambda: name in predict(channel, "cancelled").model_spec.signature_name)


def test_handler_sees_metadata_peer_and_deadline(channel: grpc.Channel) -> None:
    metadata = (("x-text", "a b"), ("x-raw-bin", b"\x00\xff"))
    seen = predict(channel, "metadata", metadata=metadata, timeout=20).model_spec.signature_name
    assert seen.startswith("{'x-text': 'a b', 'x-raw-bin': b'\\x00\\xff'} ")
    assert seen.endswith(" True")


@pytest.mark.parametrize(
    ("service", "statuses", "code"),
    [("", [1, 2], grpc.StatusCode.OK), ("fail", [1], grpc.StatusCode.NOT_FOUND)],
)
def test_streamed_responses_end_with_their_status(
    channel: grpc.Channel, service: str, statuses: list[int], code: grpc.StatusCode
) -> None:
    stream = watch(channel, service)
    seen = []
    try:
        for response in stream:
            seen.append(response.status)
    except grpc.RpcError:
        pass
    assert (seen, stream.code()) == (statuses, code)


def test_streamed_response_arrives_before_the_next_and_the_stream_can_be_cancelled(channel: grpc.Channel) -> None:
    before = predict(channel, "cancelled").model_spec.signature_name.count("watch")
    stream = watch(channel, "wait")
    assert next(stream).status == wire.HealthCheckResponse.SERVING
    stream.cancel()
    eventually(lambda: predict(channel, "cancelled").model_spec.signature_name.count("watch") > before)


def test_client_without_certificate_is_refused(echo_listeners: dict[str, Connect]) -> None:
    with echo_listeners["tls without certificate"]() as channel, pytest.raises(grpc.RpcError) as failure:
        predict(channel, timeout=5)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
