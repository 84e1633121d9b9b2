"""`--workers`: several processes on the same ports that behave as one server."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from serve.fronts.native import embedded_python
from tests.serve.test_model_config import config_of, entry, reload
from tests.support.fronts import HAS_IPV6
from tests.support.server import PATIENCE, RunningServer, cpu_ticks, publish, running, starting, wait_until

pytestmark = pytest.mark.skipif(
    embedded_python.why_unavailable() is not None, reason=str(embedded_python.why_unavailable())
)

# Enough connections that each worker gets some: the kernel assigns each one to a worker.
CONNECTIONS = 40


@pytest.fixture
def base(served_models: Path, tmp_path: Path) -> Path:
    """The folder of a model with its first version."""
    base = tmp_path / "plus"
    publish(served_models / "plus" / "1", base)
    return base


@pytest.fixture
def server(base: Path) -> Iterator[RunningServer]:
    flags = "--front=native", "--workers=2", "--file_system_poll_wait_seconds=0.1"
    with running(
        base.parent, *flags, "--engine=tensorflow", "--model_name=plus", f"--model_base_path={base}"
    ) as started:
        yield started


def workers(server: RunningServer) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def listening(worker: psutil.Process, address: str) -> set[str]:
    """Returns the IPs on which a worker listens on the port of `address`."""
    port = int(address.rpartition(":")[2])
    connections = worker.net_connections()
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN and each.laddr.port == port}


def answers(server: RunningServer, model: str = "plus") -> set[float]:
    """Returns the results of predict over many connections."""
    replies = [server.post(f"/v1/models/{model}:predict", {"instances": [1.0]}) for _ in range(CONNECTIONS)]
    assert {reply.status for reply in replies} == {200}
    return {reply.json["predictions"][0] for reply in replies}


def statuses(server: RunningServer, model: str) -> set[int]:
    """Returns the HTTP statuses of requests for the metadata, over many connections."""
    return {server.request("GET", f"/v1/models/{model}/metadata").status for _ in range(CONNECTIONS)}


def requests_counted(server: RunningServer) -> float:
    lines = server.request("GET", "/metrics").body.decode().splitlines()
    name = ':tensorflow:serving:request_count{model_name="plus",status="OK"} '
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def reports(server: RunningServer) -> list[dict[str, Any]]:
    """Returns the distinct load reports of the first version, over many connections."""
    found: list[dict[str, Any]] = []
    for _ in range(CONNECTIONS):
        (model,) = server.request("GET", "/v1/models").json["models"]
        report = model["model_version_status"][0]["load_report"]
        if report not in found:
            found.append(report)
    return found


def test_all_workers_listen_and_their_metrics_are_combined(server: RunningServer, base: Path) -> None:
    both = workers(server)
    loopback = {"127.0.0.1", "::1"} if HAS_IPV6 else {"127.0.0.1"}
    assert [listening(worker, address) for worker in both for address in (server.grpc, server.rest)] == [loopback] * 4
    before = [cpu_ticks(worker.pid) for worker in both]
    counted = requests_counted(server)
    for _ in range(5):
        assert answers(server) == {2.0}
    assert requests_counted(server) == counted + 5 * CONNECTIONS
    assert all(cpu_ticks(worker.pid) > ticks for worker, ticks in zip(both, before, strict=True))
    # Each worker reports what all of them take, and so do the metrics.
    (report,) = reports(server)
    assert report["load_seconds"] > 0
    memory = f'tfx_export_model_memory_bytes{{model_path="{base}/1"}} {report["memory_bytes"]}'
    assert memory in server.request("GET", "/metrics").body.decode().splitlines()


@pytest.mark.skipif(sys.platform != "linux" or len(os.sched_getaffinity(0)) != 2, reason="made for two processors")
@pytest.mark.parametrize(
    ("flags", "processors"), [((), {(0,), (1,)}), (("--tensorflow_intra_op_parallelism=2",), {(0, 1)})]
)
def test_each_worker_is_pinned_to_a_processor_if_there_are_enough(
    base: Path, flags: tuple[str, ...], processors: set[tuple[int, ...]]
) -> None:
    usable = sorted(os.sched_getaffinity(0))
    expected = {tuple(usable[number] for number in numbers) for numbers in processors}
    with running(base.parent, "--front=native", "--workers=2", f"--model_base_path={base}", *flags) as server:
        assert {tuple(worker.cpu_affinity()) for worker in workers(server)} == expected
        for worker in workers(server):
            # The threads of the network, the event loop and the dispatcher.
            bound = [
                thread for thread in worker.threads() if os.sched_getaffinity(thread.id) == set(worker.cpu_affinity())
            ]
            assert len(bound) >= 4
            policy = os.SCHED_BATCH if len(worker.cpu_affinity()) == 1 else os.SCHED_OTHER
            assert os.sched_getscheduler(worker.pid) == policy


def test_a_version_is_available_once_all_workers_have_it(
    server: RunningServer, served_models: Path, base: Path
) -> None:
    publish(served_models / "plus" / "4", base)
    wait_until(lambda: server.states("plus").get(4) == "AVAILABLE")
    assert answers(server) == {5.0}


def test_a_reload_reaches_all_workers_and_later_ones(server: RunningServer, served_models: Path) -> None:
    plus, two = entry("plus", served_models / "plus"), entry("two", served_models / "half_plus_two")
    assert reload(server, config_of(plus, two)) == ("OK", "")
    assert statuses(server, "two") == {200}

    first = workers(server)[0]
    first.kill()
    wait_until(lambda: "The new worker serves" in server.log.read_text())
    assert len(workers(server)) == 2
    assert statuses(server, "two") == {200}
    assert answers(server) == {5.0}

    bad = reload(server, config_of(plus, entry("plus", served_models / "plus")))
    assert bad == ("INVALID_ARGUMENT", "Illegal to list model plus multiple times in config list")
    assert reload(server, config_of(plus)) == ("OK", "")
    wait_until(lambda: statuses(server, "two") == {404})
    assert answers(server) == {5.0}


def test_a_drain_loses_no_request_and_ends_all_workers(server: RunningServer) -> None:
    lost: list[str] = []
    answered = threading.Semaphore(0)

    def keep_calling() -> None:
        try:
            while server.post("/v1/models/plus:predict", {"instances": [1.0]}).status == 200:
                answered.release()
            lost.append("an error")
        except ConnectionRefusedError:
            pass
        except OSError as error:
            lost.append(repr(error))

    threads = [threading.Thread(target=keep_calling) for _ in range(4)]
    both = workers(server)
    for thread in threads:
        thread.start()
    for _ in range(CONNECTIONS):
        assert answered.acquire(timeout=PATIENCE)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    # A connection made while its listener closes may be reset before it sends a request.
    assert [each for each in lost if "reset" not in each.lower()] == []
    assert not any(worker.is_running() for worker in both)


def test_the_python_front_rejects_several_workers(served_models: Path, tmp_path: Path) -> None:
    flags = "--front=python", "--workers=2", str(served_models / "plus")
    with starting(tmp_path, *flags) as (process, _, log):
        assert process.wait(PATIENCE) == 1
        assert "--workers needs the native front" in log.read_text()
