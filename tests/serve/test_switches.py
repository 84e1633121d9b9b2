"""Switches that change what every request of a server gets: one server a front, with all of them turned."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.support.server import RunningServer, running
from tfx_export import wire
from tfx_export.savedmodel import tensor

X = np.array([1.0, 2.0], np.float32)


@pytest.fixture(scope="module")
def switched(front: str, served_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("switched")
    (folder / "registers_ops.py").write_text(f"open({str(folder / 'imported')!r}, 'w').close()")
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
        with running(folder, str(served_models), f"--front={front}", *flags) as server:
            assert (folder / "imported").exists()
            yield server


def predict(server: RunningServer, model: str, **inputs: np.ndarray) -> wire.Message:
    request = wire.PredictRequest()
    request.model_spec.name = model
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tensor.encode(array))
    return send(server, "PredictionService/Predict", request, wire.PredictResponse)


def send(server: RunningServer, method: str, request: wire.Message, response: type[wire.Message]) -> wire.Message:
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary(
            f"/tensorflow.serving.{method}", type(request).SerializeToString, response.FromString
        )
        return call(request, timeout=30)


def test_answers_come_as_tensor_content(switched: RunningServer) -> None:
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


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", "/tensorflow.ProfilerService/Profile"])
def test_services_that_are_off_are_not_there(switched: RunningServer, path: str) -> None:
    with grpc.insecure_channel(switched.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path)(b"", timeout=30)
    assert caught.value.code().name == "UNIMPLEMENTED"
