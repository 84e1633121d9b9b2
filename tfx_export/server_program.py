"""Starts the server as a separate program, because the toolkit does not import it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfx_export.errors import SavedModelError


def safe_python(program: str) -> tuple[str, ...]:
    """Returns a command that runs `program`, Python source, without the working directory on the import path.

    Otherwise a `serve.py` next to the user's script would be imported as the server.
    """
    if sys.version_info >= (3, 11):
        return sys.executable, "-P", "-c", program
    return sys.executable, "-c", f"import sys; del sys.path[0]\n{program}"


# The command that starts the server, without flags.
SERVER_PROGRAM: tuple[str, ...] = (
    (sys.executable, "-P", "-m", "serve")
    if sys.version_info >= (3, 11)
    else safe_python("import runpy; runpy.run_module('serve', run_name='__main__')")
)

START_SECONDS = 120.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Server:
    """A running server.

    `grpc` and `rest`: `host:port`, or empty if the port is not open. `pid`: of its first process.
    """

    grpc: str
    rest: str
    pid: int
    start_seconds: float


@contextmanager
def running_server(folder: Path, *flags: str) -> Iterator[Server]:
    """Runs a server with `flags` and ends it afterwards. `folder` takes its log and ready file.

    Raises SavedModelError with the last line of its log if it does not start.
    """
    ready, log = folder / "ready.json", folder / "server.log"
    ready.unlink(missing_ok=True)
    began = time.monotonic()
    with log.open("wb") as output:
        command = [*SERVER_PROGRAM, f"--ready_file={ready}", "--log_level=warning", *flags]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > began + START_SECONDS:
                lines = log.read_text(errors="replace").strip().splitlines()
                raise SavedModelError(f"The server did not start: {lines[-1] if lines else 'no log'}")
            time.sleep(0.005)
        addresses = json.loads(ready.read_text())["addresses"]
        rest = addresses.get("rest", "").rpartition("/")[2]
        yield Server(addresses.get("grpc", ""), rest, process.pid, time.monotonic() - began)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
