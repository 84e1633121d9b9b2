"""Behaviour of the native front only: a worker in its own process, and both protocols on every port."""

import importlib
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme

from serve.fronts.native import embedded_python
from serve.fronts.native.loop import REQUESTS_PER_CHECK
from tests.support.server import PATIENCE, RunningServer, running, starting, wait_until
from tests.support.tls import ssl_config
from tfx_export.client import Client, ServerError

pytestmark = pytest.mark.skipif(
    embedded_python.why_unavailable() is not None, reason=str(embedded_python.why_unavailable())
)

X = {"x": np.array([1.0], np.float32)}


def not_movable() -> bool:
    return sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1


@pytest.fixture(scope="module")
def plus(served_models: Path) -> str:
    return str(served_models / "plus")


@pytest.fixture(scope="module")
def server(plus: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Ports without TLS and a Unix socket, on localhost, which means all loopback addresses."""
    folder = tmp_path_factory.mktemp("native")
    flags = f"--grpc_socket_path={folder}/grpc.sock", "--host=localhost", "--model_name=plus"
    with running(folder, "--front=native", *flags, plus) as started:
        yield started


def worker(server: RunningServer) -> int:
    (child,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return int(child)


def predict(address: str) -> list[float]:
    with Client(address) as client:
        answer: list[float] = client.predict("plus", X)["y"].tolist()
        return answer


def answers(server: RunningServer) -> bool:
    try:
        return predict(server.grpc) == [5.0]
    except ServerError:
        return False


def answers_rest(address: str) -> bool:
    """Whether the REST API answers HTTP there, with any status."""
    request = urllib.request.Request(f"{address}/v1/models/plus")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            headers = response.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
    return bool(headers["content-type"] == "application/json")


def test_a_worker_that_dies_is_replaced_and_ends_with_its_server(plus: str, tmp_path: Path) -> None:
    with running(tmp_path, "--front=native", "--engine=tensorflow", "--model_name=plus", plus) as server:
        first = worker(server)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: answers(server))
        second = worker(server)
        assert second != first
        assert "The worker was ended by SIGKILL. Starting another." in server.log.read_text()
        runtime = Path(Path(f"/proc/{second}/cmdline").read_text().split("\0")[2]).parent
        assert runtime.is_dir()
        server.process.kill()
        wait_until(lambda: not Path(f"/proc/{second}").exists() and not runtime.exists())


def test_importing_the_worker_has_no_side_effects() -> None:
    module = importlib.import_module("serve.fronts.native.worker")
    before = Path.cwd(), list(sys.path), dict(os.environ)
    importlib.reload(module)
    assert (Path.cwd(), list(sys.path), dict(os.environ)) == before


def test_both_protocols_are_answered_on_every_port(server: RunningServer) -> None:
    rest = server.rest.removeprefix("http://")
    for address in (server.grpc, rest, f"unix:{server.ready['addresses']['grpc_socket']}"):
        assert predict(address) == [5.0]
    for address in (server.grpc, rest):
        assert answers_rest(f"http://{address}")


def test_a_second_server_on_the_same_ports_does_not_start(server: RunningServer, plus: str, tmp_path: Path) -> None:
    for flag, message in (
        (f"--port={server.grpc.rpartition(':')[2]}", "Cannot listen for gRPC on "),
        (f"--rest_api_port={server.rest.rpartition(':')[2]}", "Cannot listen for REST on "),
        (f"--grpc_socket_path={tmp_path}", "Cannot listen for gRPC on the Unix socket "),
    ):
        with starting(tmp_path, "--front=native", plus, flag) as (process, _, log):
            assert process.wait(PATIENCE) == 1
            assert message in log.read_text()
    assert answers(server)


def test_one_port_also_answers_rest(plus: str, tmp_path: Path) -> None:
    with running(tmp_path, "--front=native", "--one_port", "--model_name=plus", plus) as server:
        assert server.rest == f"http://{server.grpc}"
        assert predict(server.grpc) == [5.0]
        assert answers_rest(server.rest)


def test_the_rest_port_rejects_grpc_if_its_tls_setting_differs(plus: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    config = tmp_path / "ssl.txt"
    config.write_text(ssl_config(certificate, authority))
    key, chain = certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes()
    flags = f"--ssl_config_file={config}", f"--grpc_socket_path={tmp_path}/grpc.sock", "--model_name=plus", plus
    with running(tmp_path, "--front=native", *flags) as server:
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), key, chain)
        with Client(server.grpc, credentials=credentials) as client:
            assert client.predict("plus", X)["y"].tolist() == [5.0]
        assert predict(f"unix:{tmp_path}/grpc.sock") == [5.0]
        assert answers_rest(server.rest)
        with pytest.raises(ServerError):
            predict(server.rest.removeprefix("http://"))
        assert server.stop() == 0


def test_the_working_folder_is_kept_and_its_modules_are_not_imported(plus: str, tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text("raise SystemExit(77)")
    (tmp_path / "model").symlink_to(plus)
    command = [sys.executable, "-P", "-m", "serve", "model", "--front=native", "--port=auto", "--rest_api_port=auto"]
    with subprocess.Popen([*command, "--ready_file=ready.json"], cwd=tmp_path) as process:
        wait_until(lambda: (tmp_path / "ready.json").exists() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


@pytest.mark.skipif(not_movable(), reason="threads cannot be moved between processors")
def test_the_dispatcher_thread_follows_the_event_loop(server: RunningServer) -> None:
    threads = {int(path.name) for path in Path(f"/proc/{worker(server)}/task").iterdir()}

    def bound() -> set[int]:
        return {thread for thread in threads if len(os.sched_getaffinity(thread)) == 1}

    def send_enough() -> None:
        with Client(server.grpc) as client:
            for _ in range(REQUESTS_PER_CHECK):
                client.predict("plus", X)

    send_enough()
    (dispatcher,) = bound()
    everywhere = os.sched_getaffinity(0)
    try:
        for processor in [*everywhere, *everywhere]:
            for thread in threads - {dispatcher}:
                os.sched_setaffinity(thread, {processor})
            send_enough()
            assert os.sched_getaffinity(dispatcher) == {processor}
    finally:
        for thread in threads - {dispatcher}:
            os.sched_setaffinity(thread, everywhere)


def test_drain_loses_no_request(plus: str, tmp_path: Path) -> None:
    """Clients keep sending requests while the server stops. A request fails only if the server never accepted it."""
    failures: list[str] = []
    answered = threading.Semaphore(0)

    def keep_calling(address: str) -> None:
        try:
            with Client(address) as client:
                while True:
                    client.predict("plus", X)
                    answered.release()
        except ServerError as error:
            failures.append(str(error))

    with running(tmp_path, "--front=native", "--engine=tensorflow", "--model_name=plus", plus) as server:
        threads = [threading.Thread(target=keep_calling, args=(server.grpc,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(100):
            assert answered.acquire(timeout=PATIENCE)
        assert server.stop() == 0
        for thread in threads:
            thread.join()
    assert len(failures) == len(threads)
    assert all("failed to connect" in failure for failure in failures), failures
