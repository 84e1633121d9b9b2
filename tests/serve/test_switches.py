"""Flags that change all responses of a server: one server per front, with all of them set."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message

from tests.support.fronts import in_memory_only
from tests.support.server import RunningServer, Server, running
from tfx_export import wire
from tfx_export.savedmodel import tensor

M = TypeVar("M", bound=Message)

X = np.array([1.0, 2.0], np.float32)


@pytest.fixture(scope="module")
def odd_method(served_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose signature has a method name that no API uses."""
    folder = tmp_path_factory.mktemp("odd_method") / "odd"
    shutil.copytree(served_models / "words", folder)
    file = folder / "1" / "saved_model.pbtxt"
    file.write_text(file.read_text().replace("tensorflow/serving/predict", "my/method"))
    return folder


@pytest.fixture(scope="module")
def switched(
    front: str, served_models: Path, odd_method: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("switched")
    (folder / "registers_ops.py").write_text(f"open({str(folder / 'imported')!r}, 'w').close()")
    shutil.copytree(served_models, folder / "models")
    shutil.copytree(odd_method, folder / "models" / "odd")
    (folder / "session.txt").write_text("intra_op_parallelism_threads: 1")
    flags = (
        "--enable_signature_method_name_check",
        "--enable_serialization_as_tensor_content=true",
        "--enable_grpc_healthcheck_service=false",
        "--enable_profiler=false",
        "--import=registers_ops",
        f"--tensorflow_session_config_file={folder / 'session.txt'}",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        with running(folder, str(folder / "models"), f"--front={front}", *flags) as server:
            assert (folder / "imported").exists()
            yield server


def predict(server: Server, model: str, **inputs: np.ndarray) -> wire.PredictResponse:
    request = wire.PredictRequest()
    request.model_spec.name = model
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tensor.encode(array))
    return send(server, "PredictionService/Predict", request, wire.PredictResponse)


def send(server: Server, method: str, request: Message, response: type[M]) -> M:
    with server.channel() as channel:
        call = channel.unary_unary(
            f"/tensorflow.serving.{method}", type(request).SerializeToString, response.FromString
        )
        answer: M = call(request, timeout=30)
    return answer


def test_responses_use_tensor_content(switched: RunningServer) -> None:
    y = predict(switched, "half_plus_two", x=X).outputs["y"]
    assert (y.tensor_content, list(y.float_val)) == (np.array([2.5, 3.0], np.float32).tobytes(), [])


@pytest.mark.parametrize(
    ("method", "request_class", "response_class", "text"),
    [
        ("Classify", wire.ClassificationRequest, wire.ClassificationResponse,
         "Expected classification signature method_name to be tensorflow/serving/classify. "
         "Was: tensorflow/serving/predict"),
        ("Regress", wire.RegressionRequest, wire.RegressionResponse,
         "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/predict"),
    ],
)  # fmt: skip
def test_method_names_are_checked(
    switched: RunningServer, method: str, request_class: type, response_class: type, text: str
) -> None:
    request = request_class()
    request.model_spec.name = "plus"
    request.input.example_list.examples.add()
    with pytest.raises(grpc.RpcError) as caught:
        send(switched, f"PredictionService/{method}", request, response_class)
    assert (caught.value.code().name, caught.value.details()) == ("INVALID_ARGUMENT", text)


WORDS = {"word": np.array([b"banana"], np.object_)}
JSON_WORDS = {"instances": ["banana"]}


def test_predict_rejects_an_unknown_method_name(switched: RunningServer) -> None:
    text = (
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. Was: my/method"
    )
    with pytest.raises(grpc.RpcError) as caught:
        predict(switched, "odd", **WORDS)
    assert (caught.value.code().name, caught.value.details()) == ("INTERNAL", text)
    reply = switched.post("/v1/models/odd:predict", JSON_WORDS)
    assert (reply.status, reply.error) == (500, text)


@in_memory_only
def test_without_the_flag_predict_runs_any_method(odd_method: Path, start_any_server: Callable[..., Server]) -> None:
    server = start_any_server(str(odd_method))
    assert list(predict(server, "odd", **WORDS).outputs["price"].float_val) == [2.0]
    assert server.post("/v1/models/odd:predict", JSON_WORDS).json["predictions"][0]["price"] == 2.0


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", "/tensorflow.ProfilerService/Profile"])
def test_disabled_services_do_not_exist(switched: RunningServer, path: str) -> None:
    with grpc.insecure_channel(switched.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path)(b"", timeout=30)
    assert caught.value.code().name == "UNIMPLEMENTED"
