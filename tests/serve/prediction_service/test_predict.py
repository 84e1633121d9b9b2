"""Predict of PredictionService, called with the stubs of tensorflow-serving-api."""

import asyncio
from typing import Any

import grpc
import pytest

from tests.support.server import RunningServer

pytest.importorskip("tensorflow_serving.apis")
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

FLOATS = "dtype: DT_FLOAT tensor_shape {{ dim {{ size: {} }} }} float_val: [{}]"
VECTOR = FLOATS.format(2, "1, 2")


def predict(spec: str, inputs: dict[str, str], outputs: str = "") -> Any:
    request = predict_pb2.PredictRequest()
    text_format.Parse(f"model_spec {{ {spec} }} {outputs}", request)
    for name, text in inputs.items():
        text_format.Parse(text, request.inputs[name])
    return request


@pytest.mark.parametrize(
    ("spec", "inputs", "expected"),
    [
        ('name: "half_plus_two" signature_name: "vector"', {"x": VECTOR}, {"y": [2.5, 3.0], "x2": [2.0, 4.0]}),
        # A declared shape is not enforced if the graph accepts another.
        ('name: "half_plus_two"', {"x": VECTOR}, {"y": [2.5, 3.0]}),
        ('name: "half_plus_two"', {"x": FLOATS.format(3, "1")}, {"y": [2.5, 2.5, 2.5]}),
        ('name: "half_plus_two"', {"x": FLOATS.format(2, "")}, {"y": [2.0, 2.0]}),
        ('name: "half_plus_two"', {"x": FLOATS.format(0, "")}, {"y": []}),
        ('name: "plus"', {"x": VECTOR}, {"y": [5.0, 6.0]}),
        ('name: "plus" version { value: 4 }', {"x": VECTOR}, {"y": [5.0, 6.0]}),
        ('name: "defaulted"', {"x": VECTOR}, {"y": [3.0, 6.0]}),
        ('name: "defaulted"', {"x": VECTOR, "scale": "dtype: DT_FLOAT tensor_shape {} float_val: 2"}, {"y": [2, 4]}),
    ],
)
def test_predict(predictions: Any, spec: str, inputs: dict[str, str], expected: dict[str, list[float]]) -> None:
    answer = predictions.Predict(predict(spec, inputs))
    assert {name: list(tensor.float_val) for name, tensor in answer.outputs.items()} == expected
    assert all(not tensor.tensor_content for tensor in answer.outputs.values())
    requested = predict(spec, {}).model_spec
    assert answer.model_spec.name == requested.name
    assert answer.model_spec.version.value == (4 if requested.name == "plus" else 1)
    assert answer.model_spec.signature_name == (requested.signature_name or "serving_default")


def test_predict_returns_the_requested_outputs(predictions: Any) -> None:
    request = predict('name: "half_plus_two" signature_name: "vector"', {"x": VECTOR}, 'output_filter: "x2"')
    assert set(predictions.Predict(request).outputs) == {"x2"}


def test_predict_with_strings_a_vocabulary_and_ref_variables(predictions: Any) -> None:
    words = 'dtype: DT_STRING tensor_shape { dim { size: 3 } } string_val: ["apple", "cherry", "\\377"]'
    outputs = predictions.Predict(predict('name: "words"', {"word": words})).outputs
    assert list(outputs["price"].float_val) == [1.0, 3.0, 0.0]
    assert list(outputs["length"].int_val) == [5, 6, 1]
    assert list(outputs["echo_bytes"].string_val) == [b"apple", b"cherry", b"\xff"]


def test_a_model_that_assigns_keeps_its_state(predictions: Any) -> None:
    request = predict('name: "counter"', {"by": "dtype: DT_INT32 tensor_shape {} int_val: 2"})
    first = predictions.Predict(request).outputs["n"].int_val[0]
    assert [predictions.Predict(request).outputs["n"].int_val[0] for _ in range(20)] == [
        first + 2 * turn for turn in range(1, 21)
    ]


@pytest.mark.parametrize(
    ("spec", "inputs", "outputs", "code", "text"),
    [
        ("", {"x": VECTOR}, "", "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ('name: "nope"', {"x": VECTOR}, "", "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        ('name: "nope"', {"x": VECTOR}, "", "NOT_FOUND", "Available models: counter, defaulted"),
        ('name: "plus" version { value: 9 }', {"x": VECTOR}, "", "NOT_FOUND", "request: Specific(plus, 9)"),
        ('name: "plus" version { value: 9 }', {"x": VECTOR}, "", "NOT_FOUND", "Available versions of plus: 4"),
        (
            'name: "plus" version_label: "a"',
            {"x": VECTOR},
            "",
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: a",
        ),
        (
            'name: "plus" signature_name: "s"',
            {"x": VECTOR},
            "",
            "FAILED_PRECONDITION",
            'Serving signature key "s" not found.',
        ),
        ('name: "plus"', {}, "", "INVALID_ARGUMENT", "Sent extra: {}. Missing but required: {x}."),
        (
            'name: "plus"',
            {"x": VECTOR, "z": VECTOR},
            "",
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}.",
        ),
        (
            'name: "plus"',
            {"z": VECTOR},
            "",
            "INVALID_ARGUMENT",
            "input tensor alias not found in signature: z. Inputs expected to be in the set {x}.",
        ),
        (
            'name: "plus"',
            {"x": VECTOR},
            'output_filter: "q"',
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: q Outputs expected to be in the set {y}.",
        ),
        (
            'name: "plus"',
            {"x": VECTOR},
            'output_filter: "y" output_filter: "y"',
            "INVALID_ARGUMENT",
            "duplicate output tensor alias: y",
        ),
        (
            'name: "half_plus_two"',
            {"x": "dtype: DT_INT32 tensor_shape {} int_val: 1"},
            "",
            "INVALID_ARGUMENT",
            "Expects arg[0] to be float but int32 is provided",
        ),
        (
            'name: "plus"',
            {"x": "dtype: DT_FLOAT tensor_shape { dim { size: 3 } } tensor_content: 'abc'"},
            "",
            "INVALID_ARGUMENT",
            "tensor parsing error: x",
        ),
        ('name: "image"', {"x": VECTOR}, "", "INVALID_ARGUMENT", "rank"),
    ],
)
def test_predict_rejects(
    predictions: Any, spec: str, inputs: dict[str, str], outputs: str, code: str, text: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(predict(spec, inputs, outputs))
    assert caught.value.code().name == code
    assert text in caught.value.details()


@pytest.mark.parametrize(("text", "message"), [("", "Missing ModelSpec"), ("model_spec {}", "no name specified")])
@pytest.mark.parametrize(
    ("method", "request_class"),
    [
        ("Predict", predict_pb2.PredictRequest),
        ("Classify", classification_pb2.ClassificationRequest),
        ("Regress", regression_pb2.RegressionRequest),
    ],
)
def test_a_request_must_name_a_model(
    predictions: Any, method: str, request_class: Any, text: str, message: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(predictions, method)(text_format.Parse(text, request_class()))
    assert (caught.value.code().name, message in caught.value.details()) == ("INVALID_ARGUMENT", True)


@pytest.mark.parametrize("rank", range(9))
def test_inputs_of_any_rank_leave_the_server_running(predictions: Any, rank: int) -> None:
    sizes = " ".join("dim { size: 3 }" for _ in range(rank))
    request = predict('name: "image"', {"x": f"dtype: DT_FLOAT tensor_shape {{ {sizes} }} float_val: 1"})
    try:
        answer = predictions.Predict(request)
    except grpc.RpcError as error:
        code = error.code().name
    else:
        code = "OK"
        assert [dim.size for dim in answer.outputs["y"].tensor_shape.dim] == [3, 3, 3, 4]
    assert code == ("OK" if rank == 4 else "INVALID_ARGUMENT")


def test_stock_stubs_as_futures_and_under_asyncio(server: RunningServer) -> None:
    request = predict('name: "plus"', {"x": VECTOR})
    with server.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        futures = [stub.Predict.future(request) for _ in range(32)]
        assert [list(future.result().outputs["y"].float_val) for future in futures] == [[5.0, 6.0]] * 32

    async def predict_all() -> list[Any]:
        async with grpc.aio.insecure_channel(server.grpc) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            return await asyncio.gather(*[stub.Predict(request) for _ in range(32)])

    assert [list(answer.outputs["y"].float_val) for answer in asyncio.run(predict_all())] == [[5.0, 6.0]] * 32


def test_messages_beyond_4_mb_and_compressed(server: RunningServer) -> None:
    size = 2_000_000
    request = predict('name: "plus"', {"x": FLOATS.format(size, "1")})
    request.inputs["x"].ClearField("float_val")
    request.inputs["x"].tensor_content = bytes(4 * size)
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.grpc, options, compression=grpc.Compression.Gzip) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request)
    assert len(answer.outputs["y"].float_val) == size
    assert set(answer.outputs["y"].float_val) == {4.0}


def test_a_long_message_is_truncated(predictions: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(predict(f'name: "{"n" * 5000}"', {}))
    assert caught.value.details().endswith("...TRUNCATED")
    assert len(caught.value.details()) == 1024 + len("...TRUNCATED")
