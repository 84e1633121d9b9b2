"""The server on a Ray cluster of two nodes, used like any other server."""

import contextlib
import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from google.protobuf.message import Message
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.serve.on_ray.conftest import Cluster, free_ports
from tests.support.rest import send_json
from tests.support.server import PATIENCE, RunningServer, publish, wait_until
from tests.support.slow_model import SECOND
from tfx_export import wire
from tfx_export.cli import cli
from tfx_export.client import Client, ServerError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5 * PATIENCE)]

X = {"x": np.array([1.0, 2.0], np.float32)}


def rest_predict(server: RunningServer) -> list[float]:
    reply = server.post("/v1/models/plus:predict", {"instances": [1.0, 2.0]})
    predictions: list[float] = reply.json["predictions"]
    return predictions


def test_both_protocols_answer(server: RunningServer) -> None:
    with server.client as client:
        np.testing.assert_array_equal(client.predict("plus", X)["y"], [2.0, 3.0])
    assert rest_predict(server) == [2.0, 3.0]


def test_every_node_has_a_replica_and_a_proxy(server: RunningServer, cluster: Cluster) -> None:
    replicas = cluster.replicas()
    assert len(replicas) == 2
    assert len({replica.ppid() for replica in replicas}) == 2
    with Client(cluster.grpc) as client:
        np.testing.assert_array_equal(client.predict("plus", X)["y"], [2.0, 3.0])


def test_stock_stubs_get_metadata_status_and_health(server: RunningServer) -> None:
    with grpc.insecure_channel(server.grpc) as channel:

        def call(service: str, method: str, request: Message) -> Any:
            rpc = next(each for each in wire.SERVICES[service] if each.name == method)
            stub = channel.unary_unary(f"/{service}/{method}", rpc.request.SerializeToString, rpc.response.FromString)
            return stub(request, timeout=30)

        request = wire.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "plus"
        assert call("tensorflow.serving.PredictionService", "GetModelMetadata", request).model_spec.version.value == 1
        assert call("grpc.health.v1.Health", "Check", wire.HealthCheckRequest(service="plus")).status == 1
    assert server.states("plus") == {1: "AVAILABLE"}


def test_reflection_knows_the_services(server: RunningServer) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {*wire.SERVICES} <= {*database.get_services()}
        assert database.FindFileContainingSymbol("tensorflow.serving.PredictRequest").package == "tensorflow.serving"


@pytest.mark.parametrize(
    ("name", "inputs", "code", "message"),
    [
        ("minus", X, "NOT_FOUND", "Available models: plus"),
        ("plus", {"z": X["x"]}, "INVALID_ARGUMENT", "input tensor alias not found in signature: z"),
    ],
)
def test_failures_have_the_usual_codes_and_texts(
    server: RunningServer, name: str, inputs: dict[str, np.ndarray], code: str, message: str
) -> None:
    with server.client as client, pytest.raises(ServerError, match=message) as raised:
        client.predict(name, inputs)
    assert raised.value.code == code
    assert "Traceback" not in server.log.read_text()


def test_a_reload_is_rejected_because_it_would_reach_one_replica_only(server: RunningServer) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        path = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(path)(b"", timeout=30)
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "model_config_file_poll_wait_seconds" in raised.value.details()


def test_rest_errors_are_the_usual_ones(server: RunningServer) -> None:
    reply = server.request("POST", "/v1/models/plus:predict", "{")
    assert reply.status == 400
    assert "JSON Parse error" in reply.error


class Load:
    """Sends requests to both nodes until the `with` ends. A failed request is repeated at most three times.

    Both replicas get requests, because a proxy prefers the replica of its own node.
    """

    def __init__(self, server: RunningServer, cluster: Cluster) -> None:
        clients = {
            "gRPC, first node": partial(grpc_answer, server.grpc),
            "gRPC, second node": partial(grpc_answer, cluster.grpc),
            "REST, first node": partial(rest_answer, server.rest),
        }
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=client) for client in clients.items()]
        self.answers: dict[str, list[float]] = {name: [] for name in clients}
        self.failures: list[Exception] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self) -> None:
        """Waits for ten more responses from each client."""
        before = {name: len(answers) for name, answers in self.answers.items()}
        self.wait_until(lambda: all(len(self.answers[name]) > count + 10 for name, count in before.items()))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        wait_until(lambda: bool(self.failures) or condition())
        assert self.failures == []

    def _run(self, name: str, answer: Callable[[], float]) -> None:
        while not self._stop.is_set():
            for attempt in range(4):
                try:
                    self.answers[name].append(answer())
                    break
                except (AssertionError, OSError, http.client.HTTPException, ServerError) as error:
                    if attempt == 3:
                        self.failures.append(error)


def grpc_answer(address: str) -> float:
    with Client(address) as client:
        return float(client.predict("plus", X)["y"][0])


def rest_answer(url: str) -> float:
    reply = send_json(url, "/v1/models/plus:predict", {"instances": [1.0]})
    assert reply.status == 200, reply
    return float(reply.json["predictions"][0])


@pytest.mark.parametrize("node", [0, 1])
def test_a_killed_replica_is_replaced_and_no_request_fails_after_a_retry(
    server: RunningServer, cluster: Cluster, node: int
) -> None:
    wait_until(lambda: len(cluster.replicas()) == 2)
    before = sorted(cluster.replicas(), key=lambda process: process.ppid())
    with Load(server, cluster) as load:
        load.wait_for_more()
        before[node].kill()
        before[node].wait(PATIENCE)
        load.wait_for_more()
        load.wait_until(lambda: len(cluster.replicas()) == 2)
        load.wait_for_more()
    assert load.failures == []
    assert {answer for answers in load.answers.values() for answer in answers} == {2.0}


def test_a_version_is_added_and_removed_without_a_failed_request(
    server: RunningServer, cluster: Cluster, model: Path, served_models: Path
) -> None:
    with Load(server, cluster) as load:
        load.wait_for_more()
        publish(served_models / "plus" / "2", model)
        try:
            load.wait_until(lambda: all(answers[-1] == 3.0 for answers in load.answers.values()))
            load.wait_for_more()
        finally:
            shutil.rmtree(model / "2")
        load.wait_until(lambda: all(answers[-1] == 2.0 for answers in load.answers.values()))
        load.wait_for_more()
    assert load.failures == []
    assert {answer for answers in load.answers.values() for answer in answers} == {2.0, 3.0}


def test_a_signal_removes_the_application(server: RunningServer, cluster: Cluster) -> None:
    assert server.stop() == 0
    assert cluster.replicas() == []


def test_the_written_config_serves_and_scales_with_the_load(idle: Cluster, served_models: Path, tmp_path: Path) -> None:
    """Starts the config that `tfx-export deploy ray` writes with Ray's own `serve run`."""
    slow = served_models / "slow"
    assert CliRunner().invoke(cli, ["deploy", "ray", str(slow), "--out", str(tmp_path / "out")]).exit_code == 0
    written = tmp_path / "out" / "serve_config.yaml"
    config = yaml.safe_load(written.read_text())
    grpc_port, config["http_options"]["port"] = free_ports()
    config["grpc_options"]["port"] = grpc_port
    scaling = config["applications"][0]["deployments"][0]["autoscaling_config"]
    scaling |= {"max_replicas": 2, "upscale_delay_s": 0.5, "metrics_interval_s": 0.5, "look_back_period_s": 1.0}
    written.write_text(json.dumps(config))
    program = [sys.executable, "-W", "ignore", "-m", "ray.serve.scripts", "run", "--address", idle.address]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([*program, str(written)], stdout=output, stderr=subprocess.STDOUT)
    try:
        with Client(f"127.0.0.1:{grpc_port}") as client:
            wait_until(lambda: answers(client, loops=1) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            assert len(idle.replicas()) == 1
            with kept_busy(client):
                wait_until(lambda: len(idle.replicas()) == 2)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def answers(client: Client, loops: int) -> bool:
    try:
        client.predict("slow", {"loops": np.int32(loops)})
    except ServerError:
        return False
    return True


@contextlib.contextmanager
def kept_busy(client: Client) -> Iterator[None]:
    """Keeps six requests in flight until the `with` ends, and ignores failures."""
    stop = threading.Event()

    def predict_repeatedly() -> None:
        while not stop.is_set():
            answers(client, loops=SECOND // 4)

    threads = [threading.Thread(target=predict_repeatedly) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
