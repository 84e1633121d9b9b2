"""Health checks and reflection, as probes, load balancers and grpcurl use them."""

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.server import PATIENCE, RunningServer, publish, wait_for_cpu
from tests.support.slow_model import SECOND
from tfx_export.wire import HealthCheckRequest, HealthCheckResponse

CODERS = {
    "request_serializer": HealthCheckRequest.SerializeToString,
    "response_deserializer": HealthCheckResponse.FromString,
}


def name_of(response: HealthCheckResponse) -> str:
    return HealthCheckResponse.ServingStatus.Name(response.status)


def check(channel: grpc.Channel, service: str) -> str:
    call = channel.unary_unary("/grpc.health.v1.Health/Check", **CODERS)
    try:
        return name_of(call(HealthCheckRequest(service=service), timeout=10))
    except grpc.RpcError as error:
        return str(error.code().name)


def watch(channel: grpc.Channel, service: str) -> Iterator[str]:
    call = channel.unary_stream("/grpc.health.v1.Health/Watch", **CODERS)
    return map(name_of, call(HealthCheckRequest(service=service)))


@pytest.mark.parametrize(
    ("service", "status"),
    [
        ("", "SERVING"),
        ("tensorflow.serving.PredictionService", "SERVING"),
        ("ModelService", "SERVING"),
        ("plus", "SERVING"),
        ("nope", "NOT_FOUND"),
    ],
)
def test_check(server: RunningServer, service: str, status: str) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        assert check(channel, service) == status


def test_health_follows_the_model_and_fails_while_draining(
    served_models: Path, start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    publish(served_models / "plus" / "1", tmp_path / "models" / "plus")
    publish(served_models / "slow" / "1", tmp_path / "models" / "slow")
    server = start_server(str(tmp_path / "models"))
    with grpc.insecure_channel(server.grpc) as channel, server.client as client:
        plus, unknown, whole = (watch(channel, service) for service in ("plus", "nope", ""))
        assert next(plus) == "SERVING"
        assert next(unknown) == "SERVICE_UNKNOWN"
        assert next(whole) == "SERVING"
        shutil.rmtree(tmp_path / "models" / "plus" / "1")
        assert next(plus) == "NOT_SERVING"
        assert check(channel, "plus") == "NOT_SERVING"
        assert check(channel, "") == "SERVING"
        publish(served_models / "plus" / "2", tmp_path / "models" / "plus")
        assert next(plus) == "SERVING"
        client.predict("slow", {"loops": np.int32(1)})
        answers: list[object] = []
        thread = threading.Thread(
            target=lambda: answers.append(client.predict("slow", {"loops": np.int32(2 * SECOND)}))
        )
        thread.start()
        wait_for_cpu(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        assert next(whole) == "NOT_SERVING"
        thread.join()
    assert server.process.wait(PATIENCE) == 0
    assert len(answers) == 1


def test_reflection_lists_services_and_describes_them(server: RunningServer) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = database.get_services()
        assert set(services) >= {
            "tensorflow.serving.PredictionService",
            "tensorflow.serving.ModelService",
            "grpc.health.v1.Health",
        }
        newer = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        (answer,) = newer(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        assert [each.name for each in answer.list_services_response.service] == list(services)
        file = database.FindFileContainingSymbol("tensorflow.serving.PredictionService")
        (service,) = [each for each in file.service if each.name == "PredictionService"]
        assert {method.name for method in service.method} >= {"Predict", "GetModelMetadata"}
