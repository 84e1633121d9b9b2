"""Batching in a server, over both protocols.

No test sleeps or depends on the order of arrival: the models wait until a batch is full, and each response has the size
of its batch.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest

from tests.support.server import RunningServer, wait_until
from tfx_export.client import Client, ServerError, calls

HTTP_STATUS = {"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNAVAILABLE": 503}


class RefusedError(Exception):
    """The server's error. `code`: the name of a gRPC code or the number of an HTTP status."""

    def __init__(self, code: str | int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    def means(self, code: str) -> bool:
        return self.code in (code, HTTP_STATUS[code])


@dataclass(frozen=True)
class Caller:
    """Sends predict requests over one protocol, each on its own thread."""

    predict: Callable[..., dict[str, list[Any]]]
    threads: ThreadPoolExecutor

    def __call__(self, model: str, signature: str = "", **inputs: Any) -> dict[str, list[Any]]:
        return self.predict(model, signature, inputs)

    def start(self, model: str, signature: str = "", **inputs: Any) -> "Future[dict[str, list[Any]]]":
        return self.threads.submit(self.predict, model, signature, inputs)


def over_grpc(server: RunningServer) -> Callable[..., dict[str, list[Any]]]:
    client = Client(server.grpc)

    def predict(model: str, signature: str, inputs: dict[str, Any]) -> dict[str, list[Any]]:
        dtypes = {"index": np.int32}
        arrays = {name: np.array(value, dtypes.get(name, np.float32)) for name, value in inputs.items()}
        try:
            outputs = client.predict(calls.Model(model, signature=signature), arrays)
        except ServerError as error:
            raise RefusedError(error.code, error.message.removeprefix(f"{error.code}: ")) from None
        return {name: output.tolist() for name, output in outputs.items()}

    return predict


def over_rest(server: RunningServer) -> Callable[..., dict[str, list[Any]]]:
    def predict(model: str, signature: str, inputs: dict[str, Any]) -> dict[str, list[Any]]:
        body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
        try:
            with urllib.request.urlopen(f"{server.rest}/v1/models/{model}:predict", body) as answer:
                outputs = json.load(answer)["outputs"]
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(error.code, json.load(error)["error"]) from None
        # A single output has no name in the columnar format.
        return outputs if isinstance(outputs, dict) else {"": outputs}

    return predict


@pytest.fixture(params=[over_grpc, over_rest], ids=["grpc", "rest"])
def call(request: pytest.FixtureRequest, batching_server: RunningServer) -> Iterator[Caller]:
    with ThreadPoolExecutor(64) as threads:
        yield Caller(request.param(batching_server), threads)


def test_requests_wait_until_the_batch_is_full(call: Caller) -> None:
    waiting = [call.start("long_timeout", x=[[float(number)]]) for number in range(4)]
    for number, answer in enumerate(waiting):
        assert answer.result() == {"y": [2.0 * number], "rows": [4]}


def test_full_batch_runs_at_once(call: Caller) -> None:
    assert call("long_timeout", x=[[1], [2], [3], [4]]) == {"y": [2, 4, 6, 8], "rows": [4] * 4}


def test_request_alone_runs_after_the_timeout(call: Caller) -> None:
    assert call("short_timeout", x=[[3]]) == {"y": [6], "rows": [1]}


def test_request_alone_runs_at_once_without_timeout(call: Caller) -> None:
    assert call("no_timeout", x=[[3]]) == {"y": [6], "rows": [1]}


def test_responses_under_load_are_the_same_as_without_batching(call: Caller) -> None:
    shapes = [(rows, columns) for rows in (1, 2, 3) for columns in (1, 5)]
    random = np.random.default_rng(1)
    inputs = [random.normal(size=shapes[number % len(shapes)]).astype(np.float32) for number in range(240)]
    answers = [call.start("no_timeout", x=x.tolist()) for x in inputs]
    for x, answer in zip(inputs, answers, strict=True):
        assert answer.result()["y"] == pytest.approx((2 * x.max(axis=1)).tolist())


def test_model_without_parameters_is_not_batched(call: Caller) -> None:
    (total,) = call("unbatched", "total", x=[[1, 2], [3, 4]]).values()
    assert total == pytest.approx(10)


@pytest.mark.parametrize(("size", "padded"), [(1, 2), (2, 2), (3, 8), (8, 8)])
def test_batches_are_padded_to_an_allowed_size(call: Caller, size: int, padded: int) -> None:
    assert call("sized", x=[[number] for number in range(size)]) == {
        "y": [2 * number for number in range(size)],
        "rows": [padded] * size,
    }


def test_different_shapes_are_merged_with_padding(call: Caller) -> None:
    short, long = call.start("ragged", x=[[-7]]), call.start("ragged", x=[[1, 5, -2]])
    assert short.result() == {"y": [-14], "rows": [2]}
    assert long.result() == {"y": [10], "rows": [2]}


def test_large_request_is_split(call: Caller) -> None:
    answer = call("split", x=[[number] for number in range(10)])
    assert answer["y"] == [2 * number for number in range(10)]
    assert answer["rows"] == [4] * 8 + [2] * 2


@pytest.mark.parametrize(
    ("model", "signature", "inputs", "code", "message"),
    [
        pytest.param(
            "long_timeout",
            "",
            {"x": [[1]] * 5},
            "INVALID_ARGUMENT",
            "Task size 5 is larger than maximum input batch size 4",
            id="too many rows",
        ),
        pytest.param(
            "split",
            "",
            {"x": [[1]] * 11},
            "INVALID_ARGUMENT",
            "Task size 11 is larger than maximum input batch size 10",
            id="too many rows to split",
        ),
        pytest.param(
            "no_timeout",
            "pair",
            {"a": [1, 2], "b": [1]},
            "INVALID_ARGUMENT",
            "Batching Run() input tensors must have equal 0th-dimension size",
            id="inputs of different sizes",
        ),
        pytest.param(
            "no_timeout",
            "",
            {"x": 1.0},
            "INVALID_ARGUMENT",
            "Batching Run() input tensors must have at least one dimension",
            id="a scalar",
        ),
        pytest.param(
            "no_timeout",
            "total",
            {"x": [[1], [2]]},
            "FAILED_PRECONDITION",
            "Batched output tensor has 0 dimensions",
            id="an output without rows",
        ),
    ],
)
def test_requests_that_cannot_be_batched_are_refused(
    call: Caller, model: str, signature: str, inputs: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        call(model, signature, **inputs)
    assert caught.value.means(code)
    assert caught.value.message.startswith(message)


def test_full_queue_refuses_requests(call: Caller) -> None:
    both = [call.start("long_timeout", x=[[1], [2], [3]]) for _ in range(2)]
    wait_until(lambda: any(answer.done() for answer in both))
    refused, waiting = sorted(both, key=lambda answer: not answer.done())
    with pytest.raises(RefusedError, match="queue to which this task was submitted is full") as caught:
        refused.result()
    assert caught.value.means("UNAVAILABLE")
    assert call("long_timeout", x=[[4]]) == {"y": [8], "rows": [4]}
    assert waiting.result()["y"] == [2, 4, 6]


def test_request_that_the_model_refuses_does_not_fail_its_batch(call: Caller) -> None:
    answers = {index: call.start("long_timeout", "pick", index=[index]) for index in (0, 1, 2, 7)}
    with pytest.raises(RefusedError) as caught:
        answers.pop(7).result()
    assert caught.value.means("INVALID_ARGUMENT")
    assert "= 7 is not in [0, 3)" in caught.value.message
    assert [list(answer.result().values()) for answer in answers.values()] == [[[10]], [[20]], [[30]]]


def request_to_long_timeout() -> bytes:
    return bytes(
        calls.predict(calls.Model("long_timeout"), {"x": np.ones((1, 1), np.float32)}).request.SerializeToString()
    )


def wait_for_deadline(call: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call.result()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def cancel(call: Any) -> None:
    assert call.cancel()


@pytest.mark.parametrize(
    ("seconds", "end"),
    [pytest.param(0.3, wait_for_deadline, id="deadline"), pytest.param(60, cancel, id="cancelled")],
)
def test_cancelled_request_is_removed_from_the_queue(
    batching_server: RunningServer, seconds: float, end: Callable[[Any], None]
) -> None:
    with grpc.insecure_channel(batching_server.grpc) as channel, batching_server.client as client:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        end(predict.future(request_to_long_timeout(), timeout=seconds))

        def fits() -> bool:
            """Whether four rows are accepted: not while the request is in the only batch that may wait."""
            try:
                rows = client.predict("long_timeout", {"x": np.ones((4, 1), np.float32)})["rows"]
            except ServerError as error:
                if error.code != "UNAVAILABLE":
                    raise
                return False
            assert rows.tolist() == [4] * 4
            return True

        wait_until(fits)


def test_version_with_invalid_parameters_does_not_load(batching_server: RunningServer) -> None:
    with batching_server.client as client, pytest.raises(ServerError):
        client.predict("broken", {"x": np.ones((1, 1), np.float32)})
    with batching_server.client as client:
        (status,) = client.status("broken")
    assert "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 2; expected 4" in str(status)
