"""A peer's server: started in the environment that `make bench` made for it, asked until it answers, always ended."""

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

# A checkout's .venv-peers; elsewhere this variable names the environment.
VARIABLE = "TFX_EXPORT_PEERS"
PATH = "/predict"
START_SECONDS = 180.0


@dataclass(frozen=True)
class Peer:
    """A running peer: `host:port`, and the group of its processes."""

    address: str
    group: int


def peer_environment() -> Path | None:
    """The folder of the peers' Python environment, if it has been made."""
    folder = Path(os.environ.get(VARIABLE, ".venv-peers")).absolute()
    return folder if (folder / "bin" / "python").exists() else None


@contextmanager
def running_peer(name: str, model: Path, body: bytes, folder: Path) -> Iterator[Peer]:
    """`bentoml` or `ray` serving the SavedModel `model`; `body` is a request it should answer. Raises LoadError."""
    home = peer_environment()
    if home is None:
        raise LoadError("The peers are not installed.", hint="Run `make bench`.")
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
        _wait(process, f"127.0.0.1:{port}", body, log)
        yield Peer(f"127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", address: str, body: bytes, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection(address, timeout=10)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("POST", PATH, body, {"content-type": "application/json"})
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    words = log.read_text(errors="replace").strip().splitlines()
    raise LoadError(f"The peer does not start: {words[-1] if words else 'no log'}")
