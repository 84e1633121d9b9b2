"""Runs the server of a peer, BentoML or Ray Serve, in the Python environment that `make bench` creates for them."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark import peers
from tests.benchmark.testbed import environment
from tfx_export.load.generator import LoadError

# Names the environment, if it is not .venv-peers of this checkout.
VARIABLE = "TFX_EXPORT_PEERS"
PATH = "/predict"
START_SECONDS = 180.0


@dataclass(frozen=True)
class Peer:
    """A running peer: its `host:port`, and the id of its first process."""

    address: str
    pid: int


def peer_environment() -> Path | None:
    """Returns the folder of the peers' Python environment, or None if it does not exist."""
    folder = Path(os.environ.get(VARIABLE, ".venv-peers")).absolute()
    return folder if (folder / "bin" / "python").exists() else None


@contextmanager
def running_peer(name: str, model: Path, body: bytes, folder: Path) -> Iterator[Peer]:
    """Serves the SavedModel `model` with the peer `name`, `bentoml` or `ray`.

    Yields when the peer answers a request with `body`, and ends the peer afterwards. Raises LoadError if it does not
    start. `folder` takes its log.
    """
    home = peer_environment()
    if home is None:
        raise LoadError("The peers are not installed.", hint="Install them: make bench")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    programs = Path(peers.__file__).parent
    commands = {
        "bentoml": ["bentoml", "serve", f"{programs / 'bento_service.py'}:Predictor", "--port", str(port)],
        "ray": ["python", str(programs / "ray_service.py")],
    }
    program, *arguments = commands[name]
    settings = {"MODEL": str(model), "PORT": str(port), "BENTOML_DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(home / "bin" / program), *arguments],
            env={**environment(), **settings, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"},
            cwd=programs,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for_response(process, f"127.0.0.1:{port}", body, log)
        yield Peer(f"127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for_response(process: "subprocess.Popen[bytes]", address: str, body: bytes, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(address, timeout=10)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("POST", PATH, body, {"content-type": "application/json"})
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise LoadError(f"The peer did not start: {lines[-1] if lines else 'no log'}")
