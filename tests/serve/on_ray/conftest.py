"""A Ray cluster of two nodes, and the server on it."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support.server import PATIENCE, RunningServer, publish, running


@dataclass(frozen=True)
class Cluster:
    """`grpc` is the address of the second node's proxy. On separate machines, both nodes would use the same ports."""

    address: str
    grpc: str
    pid: int

    def replicas(self) -> list[psutil.Process]:
        """Returns the processes of replicas on both nodes."""
        nodes = psutil.Process(self.pid).children(recursive=True)
        return [process for process in nodes if "ServeReplica" in _title(process)]


class Application:
    """The server on `cluster`, shared by the tests. It is started again if a test has ended it."""

    def __init__(self, cluster: Cluster, model: Path, folders: pytest.TempPathFactory) -> None:
        self._flags = (
            str(model),
            "--on=ray",
            f"--ray_address={cluster.address}",
            "--min_replicas=2",
            "--max_replicas=2",
        )
        self._folders = folders
        self._stack = contextlib.ExitStack()
        self._server: RunningServer | None = None

    def running(self) -> RunningServer:
        if self._server is None or self._server.process.poll() is not None:
            self.end()
            self._server = self._stack.enter_context(running(self._folders.mktemp("server"), *self._flags))
        return self._server

    def end(self) -> None:
        """Ends the server with a signal, so that it removes the application from the cluster."""
        if self._server is not None and self._server.process.poll() is None:
            self._server.stop()
        self._stack.close()
        self._server = None


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed (pip install 'tfx-export[ray]')")
    grpc, rest = free_ports()
    # Ray creates its sockets in this folder, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        environment = {
            **os.environ,
            "RAY_TMPDIR": folder,
            "RAY_SERVE_WORKER_PROXY_GRPC_PORT": str(grpc),
            "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(rest),
            # By default Ray replaces a proxy that is not ready within 5 s. On a busy machine none would ever be ready.
            "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": str(PATIENCE),
            "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": str(PATIENCE),
        }
        program = [sys.executable, "-W", "ignore", "-m", "tests.support.ray_cluster"]
        with (
            Path(folder, "cluster.log").open("wb") as log,
            subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                address = process.stdout.readline().strip()
                assert address, Path(folder, "cluster.log").read_text()
                yield Cluster(address, f"127.0.0.1:{grpc}", process.pid)
            finally:
                started = psutil.Process(process.pid).children(recursive=True)
                process.stdin.close()
                process.wait(PATIENCE)
                for left in psutil.wait_procs(started, timeout=20)[1]:
                    left.kill()


@pytest.fixture(scope="package")
def model(served_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `plus` with version 1. Tests may add others."""
    folder = tmp_path_factory.mktemp("models") / "plus"
    publish(served_models / "plus" / "1", folder)
    return folder


@pytest.fixture(scope="package")
def application(cluster: Cluster, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """Two replicas, one per node."""
    shared = Application(cluster, model, tmp_path_factory)
    yield shared
    shared.end()


@pytest.fixture
def server(application: Application) -> RunningServer:
    return application.running()


@pytest.fixture
def idle(application: Application, cluster: Cluster) -> Cluster:
    """The cluster without an application."""
    application.end()
    return cluster


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("", 0))
        other.bind(("", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()[:1])
    except psutil.Error:
        return ""
