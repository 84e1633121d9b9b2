"""The real server as a process: it is started on free ports, waited for and always ended."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import grpc

from tests.support.rest import Reply, send_json, send_request
from tfx_export.client import Client, ServerError

# Seconds that any one wait may take: a busy machine is slow, and an event that never comes is rare.
PATIENCE = 180.0


class Server(Protocol):
    """A server that tests send requests to: a process (`RunningServer`) or in memory (`InMemoryServer`)."""

    @property
    def client(self) -> Client:
        """A new client: `with server.client as client`."""
        ...

    def channel(self) -> grpc.Channel:
        """Returns a new gRPC channel."""
        ...

    def request(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Reply:
        """Sends an HTTP request. The argument `content_encoding="gzip"` becomes a header."""
        ...

    def post(self, path: str, content: Any, **headers: str) -> Reply:
        """Sends `content` as JSON with POST."""
        ...

    def states(self, model: str) -> dict[int, str]:
        """Returns the state of each version by its number; empty for an unknown model."""
        ...


class RunningServer:
    """A server process that answers requests. `grpc` is `host:port`, `rest` is `http://host:port`."""

    def __init__(self, process: "subprocess.Popen[bytes]", ready: dict[str, Any], log: Path) -> None:
        self.process = process
        self.ready = ready
        self.log = log
        self.grpc: str = ready["addresses"].get("grpc", "")
        self.rest: str = ready["addresses"].get("rest", "")

    @property
    def client(self) -> Client:
        """A new client: `with server.client as client`."""
        return Client(self.grpc)

    def channel(self) -> grpc.Channel:
        """Returns a new gRPC channel."""
        return grpc.insecure_channel(self.grpc)

    def request(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Reply:
        """Sends an HTTP request. The argument `content_encoding="gzip"` becomes a header."""
        return send_request(self.rest, method, path, body, **headers)

    def post(self, path: str, content: Any, **headers: str) -> Reply:
        """Sends `content` as JSON with POST."""
        return send_json(self.rest, path, content, **headers)

    def states(self, model: str) -> dict[int, str]:
        """Returns the state of each version by its number; empty for an unknown model."""
        return version_states(self.client, model)

    def stop(self, number: int = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Sends a signal, waits for the end, and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def version_states(client: Client, model: str) -> dict[int, str]:
    """Returns the state of each version by its number; empty for an unknown model. Closes the client."""
    with client:
        try:
            return {version.version: version.state for version in client.status(model)}
        except ServerError as error:
            if error.code != "NOT_FOUND":
                raise
            return {}


@contextlib.contextmanager
def starting(
    folder: Path, *flags: str, program: Sequence[str] = (sys.executable, "-m", "serve")
) -> Iterator[tuple["subprocess.Popen[bytes]", Path, Path]]:
    """Starts `python -m serve FLAGS` on free ports. Yields the process, its ready file and its log, in `folder`."""
    ready, log = folder / "ready.json", folder / "server.log"
    ready.unlink(missing_ok=True)
    command = [*program, "--port=auto", "--rest_api_port=auto", f"--ready_file={ready}", *flags]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process, ready, log
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextlib.contextmanager
def running(
    folder: Path, *flags: str, program: Sequence[str] = (sys.executable, "-m", "serve")
) -> Iterator[RunningServer]:
    """Starts a server with `flags` and waits until it answers; it is ended when the `with` ends.

    Its log and its ready file are in `folder`.
    """
    with starting(folder, *flags, program=program) as (process, ready, log):
        wait_until(lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, f"exit code {process.returncode}\n{log.read_text()}"
        yield RunningServer(process, json.loads(ready.read_text()), log)


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Returns once `condition` holds. Raises AssertionError if it does not hold within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)


def wait_for_cpu(pid: int) -> None:
    """Returns once the process uses CPU time."""
    first = cpu_ticks(pid)
    wait_until(lambda: cpu_ticks(pid) > first + 5)


def cpu_ticks(pid: int) -> int:
    """Returns the CPU time of the process and its children, in clock ticks: the native front's model runs in Envoy."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(fields[11]) + int(fields[12]) + sum(cpu_ticks(int(child)) for child in children)


def publish(version_folder: Path, model: Path, version: int | None = None) -> None:
    """Copies a version next to its final path and renames it into place, as an exporter does."""
    target = model / str(version or version_folder.name)
    beside = model / f".{target.name}.partial"
    model.mkdir(parents=True, exist_ok=True)
    shutil.copytree(version_folder, beside)
    beside.rename(target)
