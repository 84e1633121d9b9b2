"""What the walk-throughs share: typing commands for the reader, and a server that is ended whatever happens."""

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

PATIENCE = 120  # seconds for a version to come up


class Server:
    """A running server of one model; `grpc` and `rest` are its ports on this machine."""

    def __init__(self, model: str, grpc: int, rest: int) -> None:
        self.model, self.grpc, self.rest = model, grpc, rest

    def states(self) -> dict[str, str]:
        """Version -> state, as the server tells them over REST."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/v1/models/{self.model}") as response:
            return {status["version"]: status["state"] for status in json.load(response)["model_version_status"]}

    def wait_for(self, states: dict[str, str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self.states() == states:
                    return
            except (urllib.error.URLError, ConnectionError):
                pass  # not listening yet
            if time.monotonic() > deadline:
                sys.exit(f"the server did not reach {states} within {PATIENCE} s")
            time.sleep(0.1)


class Walkthrough:
    """One example: its folder, and the folder `work` in it where everything lands."""

    def __init__(self, here: Path) -> None:
        self.here, self.work = here, here / "work"

    def run(self, *words: str) -> None:
        """Run what a user would type in the work folder, and show it."""
        subprocess.run(self._command(words), cwd=self.work, check=True)

    def shell(self, line: str) -> None:
        """The same for a line that only a shell understands. Without curl, one that needs it is left out."""
        print(f"\n$ {line}", flush=True)
        if line.startswith("curl ") and shutil.which("curl") is None:
            print("left out: there is no curl on this machine", flush=True)
        else:
            subprocess.run(line.replace("curl ", "curl -fsS "), shell=True, cwd=self.work, check=True)

    @contextmanager
    def serving(self, model_folder: str, *flags: str) -> Iterator[Server]:
        """A server while the block runs. At its end it gets a SIGTERM, and must exit with 0."""
        grpc, rest = _free_ports()
        words = ("tfx-export", "serve", model_folder, f"--port={grpc}", f"--rest_api_port={rest}", *flags)
        process = subprocess.Popen(self._command(words), cwd=self.work)
        try:
            yield Server(Path(model_folder).name, grpc, rest)
            print(f"\n$ kill -TERM {process.pid}", flush=True)
            process.send_signal(signal.SIGTERM)
            print(f"the server exited with {process.wait(timeout=60)}", flush=True)
            if process.returncode != 0:
                sys.exit("it should have been 0")
        finally:
            if process.poll() is None:
                _end(process)

    def main(self, story: Callable[["Walkthrough"], None]) -> None:
        """Run `story` in an empty work folder; a failure is one line."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that a server is ended then too
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        try:
            story(self)
        except subprocess.CalledProcessError as error:
            sys.exit(f"failed with exit code {error.returncode}")
        except KeyboardInterrupt:
            sys.exit("interrupted")

    def _command(self, words: tuple[str, ...]) -> list[str]:
        print(f"\n$ {shlex.join(words)}", flush=True)
        programs = {"python": [sys.executable], "tfx-export": [sys.executable, "-m", "tfx_export"]}
        return [*programs[words[0]], *words[1:]]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a server that nobody waits for politely any more; it may have started processes of its own."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
