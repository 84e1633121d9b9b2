"""The real server as a process: started on free ports, waited for, always ended."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tfx_export.client import Client, ServerError

# Of any one wait: a busy machine is slow, and what never comes is rare.
PATIENCE = 180.0


class RunningServer:
    """A server that answers. `grpc` is `host:port`, `rest` is `http://host:port`."""

    def __init__(self, process: "subprocess.Popen[bytes]", ready: dict[str, Any], log: Path) -> None:
        self.process = process
        self.ready = ready
        self.log = log
        self.grpc: str = ready["addresses"].get("grpc", "")
        self.rest: str = ready["addresses"].get("rest", "")

    @property
    def client(self) -> Client:
        """A client of its own for each use: `with server.client as client`."""
        return Client(self.grpc)

    def states(self, model: str) -> dict[int, str]:
        """Version -> name of its state; empty for a model the server does not know."""
        with self.client as client:
            try:
                return {version.version: version.state for version in client.status(model)}
            except ServerError as error:
                if error.code != "NOT_FOUND":
                    raise
                return {}

    def stop(self, number: int = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextlib.contextmanager
def starting(folder: Path, *flags: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path, Path]]:
    """Start `python -P -m serve FLAGS` on free ports: the process, its ready file and its log, in `folder`."""
    ready, log = folder / "ready.json", folder / "server.log"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "serve", "--port=auto", "--rest_api_port=auto", f"--ready_file={ready}", *flags]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process, ready, log
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextlib.contextmanager
def running(folder: Path, *flags: str) -> Iterator[RunningServer]:
    """Start a server with `flags` and wait until it answers; it is ended when the `with` ends.

    `folder` takes its log and ready file.
    """
    with starting(folder, *flags) as (process, ready, log):
        wait_until(lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, f"exit code {process.returncode}\n{log.read_text()}"
        yield RunningServer(process, json.loads(ready.read_text()), log)


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Return once `condition` holds; AssertionError if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def wait_for_cpu(pid: int) -> None:
    """Until the process has begun to work: two looks at its CPU time that differ."""
    first = cpu_ticks(pid)
    wait_until(lambda: cpu_ticks(pid) > first + 5)


def cpu_ticks(pid: int) -> int:
    """Of the process and those it started: the native front's model runs in Envoy."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(fields[11]) + int(fields[12]) + sum(cpu_ticks(int(child)) for child in children)


def publish(version_folder: Path, model: Path, version: int | None = None) -> None:
    """Copy a version beside its place and rename it into it, as an exporter does."""
    target = model / str(version or version_folder.name)
    beside = model / f".{target.name}.partial"
    model.mkdir(parents=True, exist_ok=True)
    shutil.copytree(version_folder, beside)
    beside.rename(target)
