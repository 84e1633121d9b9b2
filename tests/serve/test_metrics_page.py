"""The metrics of a running server, as Prometheus scrapes them."""

import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.fronts import one_front
from tests.support.server import RunningServer, publish, wait_until
from tfx_export.client import Model, ServerError

PATH = "/monitoring/prometheus/metrics"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(server: RunningServer, path: str = "/metrics") -> Samples:
    with urlopen(server.rest + path, timeout=30) as response:
        assert response.headers["content-type"].startswith("text/plain")
        text = response.read().decode()
    # The parser appends `_total` to every counter; upstream's names have none.
    return {
        (
            sample.name if sample.name in text else sample.name.removesuffix("_total"),
            tuple(sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def status_of(server: RunningServer, path: str, body: bytes | None = None) -> int:
    try:
        with urlopen(Request(server.rest + path, body), timeout=30) as response:
            return int(response.status)
    except HTTPError as error:
        error.close()
        return error.code


@pytest.fixture
def watched(start_server: Callable[..., RunningServer], served_models: Path, tmp_path: Path) -> RunningServer:
    (tmp_path / "monitoring").write_text("prometheus_config { enable: true }")
    return start_server(f"--model_base_path={served_models}", f"--monitoring_config_file={tmp_path}/monitoring")


@pytest.mark.slow
def test_requests_are_counted_as_upstream(watched: RunningServer, served_models: Path) -> None:
    good = {"x": np.ones((1, 1), np.float32)}
    with watched.client as client:
        for _ in range(3):
            client.predict("half_plus_two", good)
        client.classify(Model("words", signature="classify"), [{"word": "apple"}, {"word": "cherry"}])
        with pytest.raises(ServerError):
            client.predict("half_plus_two", {"y": good["x"]})
        with pytest.raises(ServerError):
            client.predict("gone", good)
    assert status_of(watched, "/v1/models/half_plus_two:predict", b'{"instances": [[1.0], [2.0]]}') == 200
    assert status_of(watched, "/v1/models/half_plus_two:predict", b'{"instances": [["a"]]}') == 400

    found = scraped(watched, PATH)
    name = ":tensorflow:serving:request_count"
    assert found[key(name, model_name="half_plus_two", status="OK")] == 4
    assert found[key(name, model_name="half_plus_two", status="INVALID_ARGUMENT")] == 2
    assert found[key(name, model_name="gone", status="NOT_FOUND")] == 1
    latency = ":tensorflow:serving:request_latency_count"
    assert found[key(latency, model_name="half_plus_two", API="Predict", entrypoint="GRPC")] == 3
    assert found[key(latency, model_name="half_plus_two", API="predict", entrypoint="REST")] == 1
    assert found[key(latency, model_name="words", API="Classify", entrypoint="GRPC")] == 1
    runtime = ":tensorflow:serving:runtime_latency_count"
    assert found[key(runtime, model_name="half_plus_two", API="Predict", runtime="TF1")] == 4
    assert found[key(":tensorflow:serving:request_example_count_total", model="words")] == 2
    failed = {"model_name": "half_plus_two", "API": "Predict", "entrypoint": "GRPC", "code": "INVALID_ARGUMENT"}
    assert found[key("tfx_export_errors_total", signature="serving_default", **failed)] == 1
    assert found[key("tfx_export_requests_in_flight", entrypoint="GRPC")] == 0
    assert found[key("tfx_export_model_state", model_name="plus", version="4")] == 30
    paths = [dict(labels)["model_path"] for metric, labels in found if metric == "tfx_export_model_load_seconds"]
    assert len(paths) == len(list(served_models.iterdir()))
    assert all(found[key("tfx_export_model_load_seconds", model_path=path)] > 0 for path in paths)
    assert found[key("process_resident_memory_bytes")] > 50e6
    assert abs(found[key("process_start_time_seconds")] - time.time()) < 600


def test_the_mlmd_uuid_is_shown_while_the_version_is_served(
    start_server: Callable[..., RunningServer], served_models: Path, tmp_path: Path
) -> None:
    plus = tmp_path / "plus"
    publish(served_models / "plus" / "1", plus)
    (plus / "1" / "assets.extra").mkdir(exist_ok=True)
    (plus / "1" / "assets.extra" / "mlmd_uuid").write_text("6f1d-4a\n")
    server = start_server(str(plus), "--file_system_poll_wait_seconds=1")
    made = key(":tensorflow:serving:mlmd_map", model_name="plus", version="1", mlmd_uuid="6f1d-4a")
    assert scraped(server)[made] == 1
    publish(served_models / "plus" / "2", plus)
    wait_until(lambda: server.states("plus") == {2: "AVAILABLE", 1: "END"})
    wait_until(lambda: not any(name == made[0] for name, _ in scraped(server)))


def test_the_wait_for_a_batch_is_measured(start_server: Callable[..., RunningServer], served_models: Path) -> None:
    server = start_server(str(served_models / "plus"), "--enable_batching")
    with server.client as client:
        for rows in (1, 2, 3):
            client.predict("plus", {"x": np.ones(rows, np.float32)})
    found = scraped(server)
    batching = ":tensorflow:serving:batching_session:"
    pool = {"thread_pool_name": "model_server_batch_threads"}
    assert found[key(f"{batching}queuing_latency_count", **pool)] == 3
    assert found[key(f"{batching}queuing_latency_bucket", **pool, le="+Inf")] == 3
    assert found[key(f"{batching}input_batch_size_sum")] == 6
    assert found[key(f"{batching}wrapped_run_count")] == 3


@one_front
@pytest.mark.parametrize(
    ("config", "there", "not_there"),
    [
        (None, ["/metrics"], [PATH]),
        ("prometheus_config { enable: false }", ["/metrics"], [PATH]),
        ('prometheus_config { enable: true path: "/my/metrics" }', ["/metrics", "/my/metrics"], [PATH]),
    ],
)
def test_paths_of_the_page(
    start_server: Callable[..., RunningServer],
    served_models: Path,
    tmp_path: Path,
    config: str | None,
    there: list[str],
    not_there: list[str],
) -> None:
    flags = [f"--model_base_path={served_models}/plus"]
    if config is not None:
        (tmp_path / "monitoring").write_text(config)
        flags.append(f"--monitoring_config_file={tmp_path}/monitoring")
    server = start_server(*flags)
    assert [status_of(server, path) for path in there] == [200] * len(there)
    assert [status_of(server, path) for path in not_there] == [404]
