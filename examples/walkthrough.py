"""Helpers for the examples: print and run commands, and run a server that is always stopped at the end."""

import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOAD_TIMEOUT_SECONDS = 120


class Server:
    """A running server of one model. `grpc` and `rest` are its ports on this machine."""

    def __init__(self, model: str, grpc: int, rest: int) -> None:
        self.model, self.grpc, self.rest = model, grpc, rest

    def states(self) -> dict[str, str]:
        """Returns the state of each version, read over REST."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/v1/models/{self.model}") as response:
            return {status["version"]: status["state"] for status in json.load(response)["model_version_status"]}

    def wait_for(self, states: dict[str, str]) -> None:
        """Waits until the versions have these states. Exits after LOAD_TIMEOUT_SECONDS."""
        deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
        while True:
            try:
                if self.states() == states:
                    return
            except (urllib.error.URLError, ConnectionError):
                pass  # not listening yet
            if time.monotonic() > deadline:
                sys.exit(f"the server did not reach {states} within {LOAD_TIMEOUT_SECONDS} s")
            time.sleep(0.1)


class Walkthrough:
    """One example: its folder, and the subfolder `work` for all files that it writes."""

    def __init__(self, here: Path) -> None:
        self.here, self.work = here, here / "work"

    def run(self, *command: str) -> None:
        """Prints a command and runs it in the work folder."""
        subprocess.run(self._arguments(command), cwd=self.work, check=True)

    def shell(self, line: str) -> None:
        """Prints a command line and runs it in a shell. Skips curl commands if curl is not installed."""
        print(f"\n$ {line}", flush=True)
        if line.startswith("curl ") and shutil.which("curl") is None:
            print("skipped: curl is not installed", flush=True)
        else:
            subprocess.run(line.replace("curl ", "curl -fsS "), shell=True, cwd=self.work, check=True)

    @contextmanager
    def serving(self, model_folder: str, *flags: str) -> Iterator[Server]:
        """Runs a server during the `with` block. At the end it gets a SIGTERM and must exit with code 0."""
        grpc, rest = _free_ports()
        command = ("tfx-export", "serve", model_folder, f"--port={grpc}", f"--rest_api_port={rest}", *flags)
        process = subprocess.Popen(self._arguments(command), cwd=self.work)
        try:
            yield Server(Path(model_folder).name, grpc, rest)
            print(f"\n$ kill -TERM {process.pid}", flush=True)
            process.send_signal(signal.SIGTERM)
            print(f"the server exited with {process.wait(timeout=60)}", flush=True)
            if process.returncode != 0:
                sys.exit("expected 0")
        finally:
            if process.poll() is None:
                _end(process)

    def main(self, run_example: Callable[["Walkthrough"], None]) -> None:
        """Calls `run_example` with an empty work folder. Errors are printed in one line."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the server is stopped too
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        try:
            run_example(self)
        except subprocess.CalledProcessError as error:
            sys.exit(f"failed with exit code {error.returncode}")
        except KeyboardInterrupt:
            sys.exit("interrupted")

    def _arguments(self, command: tuple[str, ...]) -> list[str]:
        print(f"\n$ {shlex.join(command)}", flush=True)
        programs = {"python": [sys.executable], "tfx-export": [sys.executable, "-m", "tfx_export"]}
        return [*programs[command[0]], *command[1:]]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Terminates a server, and kills it after 10 seconds. SIGTERM comes first so that it can end its own processes."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
