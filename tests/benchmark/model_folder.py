"""A server that watches a folder of models, for measurements that publish versions while it runs."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import TemporaryDirectory

from tests.benchmark.testbed import Testbed
from tfx_export.load.generator import LoadError
from tfx_export.server_program import running_server

POLL_SECONDS = 0.1
MAX_LOAD_SECONDS = 600.0
# Repeats the field saved_model_schema_version, which changes the file but not its meaning.
SCHEMA_VERSION = b"\x08\x01"


def publish_version(source: Path, model: Path, number: int = 1, *, variant: int = 0) -> None:
    """Publishes `source` as a version of `model`, as an exporter does. The files are hard links.

    The server prepares each content once. Another `variant` is another content for it, with the same weights.
    """
    partial = model / f".{number}.partial"
    copytree(source, partial, copy_function=os.link)
    if variant:
        file = partial / "saved_model.pb"
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content + variant * SCHEMA_VERSION)
    partial.rename(model / str(number))


@dataclass(frozen=True)
class ModelFolder:
    """The folder of models of a running server, and the server's addresses, first process, workers and log."""

    folder: Path
    log: Path
    workers: int
    grpc: str
    pid: int

    def publish(self, source: Path, name: str, number: int = 1, *, variant: int = 0) -> None:
        """Publishes a version and waits until it is AVAILABLE. Raises LoadError if it is not within 10 minutes."""
        (self.folder / name).mkdir(exist_ok=True)
        publish_version(source, self.folder / name, number, variant=variant)
        self.wait_for(name, number, "AVAILABLE")

    def remove(self, name: str, number: int) -> None:
        """Removes the folder of a version."""
        rmtree(self.folder / name / str(number))

    def wait_for(self, name: str, number: int, state: str) -> None:
        """Returns once the version has reached `state` in all workers. Raises LoadError if it fails."""
        deadline = time.monotonic() + MAX_LOAD_SECONDS
        while len(self._times(name, number, state)) < self.workers:
            if failures := [message for _, message in self._events(name, number) if ": END, " in message]:
                raise LoadError(failures[0])
            if time.monotonic() > deadline:
                raise LoadError(f"{name} version {number} is not {state} after {MAX_LOAD_SECONDS:g} s")
            time.sleep(0.02)

    def load_seconds(self, name: str, number: int = 1) -> float:
        """Returns the time from LOADING in the first worker to AVAILABLE in the last, from the server's log."""
        return max(self._times(name, number, "AVAILABLE")) - min(self._times(name, number, "LOADING"))

    def _times(self, name: str, number: int, state: str) -> list[float]:
        return [at for at, message in self._events(name, number) if message.endswith(f": {state}")]

    def _events(self, name: str, number: int) -> Iterator[tuple[float, str]]:
        """The changes of state of a version in the server's log: times in seconds, and messages."""
        for line in self.log.read_text(errors="replace").split("\n")[:-1]:
            if f'"message":"{name} version {number}: ' in line:
                event = json.loads(line)
                yield datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ").timestamp(), event["message"]


@contextmanager
def watched_folder(
    testbed: Testbed, models: Mapping[str, Path], prepared: Path, *flags: str, workers: int = 1
) -> Iterator[ModelFolder]:
    """Serves version 1 of `models` (name -> version folder) with the TensorFlow engine, and watches their folder.

    `prepared` is the folder of prepared versions.
    """
    with TemporaryDirectory(dir=testbed.folder) as name:
        folder = Path(name, "models")
        for model, version in models.items():
            (folder / model).mkdir(parents=True)
            publish_version(version, folder / model)
        all_flags = (
            *(str(folder), "--watch", f"--file_system_poll_wait_seconds={POLL_SECONDS}", "--engine=tensorflow"),
            *(f"--prepared_dir={prepared}", f"--workers={workers}", "--port=auto", "--rest_api_port=auto"),
            *("--log_level=info", "--log_format=json"),
            *flags,
        )
        with running_server(Path(name), *all_flags) as server:
            watched = ModelFolder(folder, Path(name, "server.log"), workers, server.grpc, server.pid)
            for model in models:
                watched.wait_for(model, 1, "AVAILABLE")
            yield watched
