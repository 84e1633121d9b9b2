"""Tensors of any rank and dtype, empty or not: the server answers or refuses in words, and continues to work.

NumPy has at most 64 dimensions, TensorFlow 254; converting a string tensor with more than 32 ends a process.
"""

import json
from collections.abc import Iterator

import grpc
import pytest

from tests.support.any_rank_models import DTYPES
from tests.support.built_models import build
from tests.support.server import RunningServer, running
from tfx_export import wire
from tfx_export.savedmodel.dtypes import dtype_number, numpy_dtype

RANKS = (0, 1, 32, 33, 64, 65, 254, 255)


@pytest.fixture(scope="module")
def any_rank(front: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    model = build("tests.support.any_rank_models") / "any_rank"
    with running(tmp_path_factory.mktemp("any_rank"), f"--model_base_path={model}", f"--front={front}") as server:
        yield server


def most_dimensions(dtype: str) -> int:
    return 32 if dtype == "DT_STRING" else 64


def request(dtype: str, sizes: list[int], dims: list[int], output: str) -> wire.PredictRequest:
    """A request with an x of these `sizes`, each of which is 0 or 1."""
    message = wire.PredictRequest(output_filter=[output])
    message.model_spec.name, message.model_spec.signature_name = "default", dtype
    x = message.inputs["x"]
    x.dtype = dtype_number(dtype)
    for size in sizes:
        x.tensor_shape.dim.add(size=size)
    if dtype == "DT_STRING":
        x.string_val.extend([b"a"] * all(sizes))
    else:
        x.tensor_content = bytes(numpy_dtype(dtype).itemsize) * all(sizes)
    message.inputs["dims"].dtype = dtype_number("DT_INT32")
    message.inputs["dims"].tensor_shape.dim.add(size=len(dims))
    message.inputs["dims"].int_val.extend(dims)
    return message


def outcome(server: RunningServer, message: wire.PredictRequest) -> tuple[str, list[int]]:
    """The status code, and the shape of the output of a response."""
    with server.channel() as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        try:
            response = predict(message.SerializeToString(), timeout=60)
        except grpc.RpcError as error:
            return error.code().name, []
    (output,) = wire.PredictResponse.FromString(response).outputs.values()
    return "OK", [dim.size for dim in output.tensor_shape.dim]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1])
def test_an_input_of_any_rank(any_rank: RunningServer, dtype: str, size: int) -> None:
    for rank in RANKS:
        sizes = [1] * (rank - 1) + [size] * min(rank, 1)
        expected = ("OK", sizes) if rank <= most_dimensions(dtype) else ("INVALID_ARGUMENT", [])
        assert outcome(any_rank, request(dtype, sizes, [], "same")) == expected, rank


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1])
def test_an_output_of_any_rank(any_rank: RunningServer, dtype: str, size: int) -> None:
    for rank in RANKS[1:]:
        sizes = [1] * (rank - 1) + [size]
        expected = ("OK", sizes) if rank <= most_dimensions(dtype) else ("INVALID_ARGUMENT", [])
        assert outcome(any_rank, request(dtype, [size], sizes, "reshaped")) == expected, rank


@pytest.mark.parametrize(
    ("dtype", "value"), [("DT_STRING", '"a"'), ("DT_FLOAT", "1.0"), ("DT_INT64", "1"), ("DT_BOOL", "true")]
)
def test_brackets_of_any_depth(any_rank: RunningServer, dtype: str, value: str) -> None:
    for rank in RANKS:
        x = "[" * rank + value + "]" * rank
        body = f'{{"signature_name": "{dtype}", "inputs": {{"x": {x}, "dims": [1]}}}}'
        reply = any_rank.request("POST", "/v1/models/default:predict", body)
        if rank <= most_dimensions(dtype):
            assert json.loads(reply.body)["outputs"]["same"] == json.loads(x)
        else:
            assert reply.status == 400
            assert reply.error
