"""Workshop: the models, requests and servers that are measured, made when they are first needed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tfx_export.bench.load import PREDICT, Load, Measured, measure
from tfx_export.bench.models import SHAPES
from tfx_export.client import Model, calls
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE
from tfx_export.server_program import Server, running_server


def quiet() -> dict[str, str]:
    """The environment of programs that are to say nothing but what was asked."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


class Workshop:
    """`folder` keeps the models for the next time; `seconds` is the length of one measurement."""

    def __init__(self, folder: Path, *, seconds: float, rounds: int, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.seconds = seconds
        self.rounds = rounds
        self.say = say

    def version(self, name: str) -> Path:
        """The exported version of a model of `models.py`, with a LiteRT model beside it."""
        version = self.folder / name / "1"
        if not version.exists():
            self.say(f"Exporting {name}")
            file = self.folder / f"{name}.keras"
            run(sys.executable, "-m", "tfx_export.bench.models", name, str(file))
            run(sys.executable, "-m", "tfx_export", "keras", str(file), "--out", str(version.parent), "--accelerate")
        return version

    def message(self, name: str, rows: int = 1) -> Path:
        """A file with a PredictRequest of `rows` random rows."""
        file = self.folder / f"{name}_{rows}.request"
        if not file.exists():
            request = calls.predict(Model(name), {self._input(name): self._rows(name, rows)}).request
            file.write_bytes(request.SerializeToString())
        return file

    def json_body(self, name: str, rows: int = 1) -> Path:
        """The same in REST's row format."""
        file = self.folder / f"{name}_{rows}.json"
        if not file.exists():
            file.write_text(json.dumps({"instances": self._rows(name, rows).tolist()}))
        return file

    @contextmanager
    def server(self, name: str, *flags: str) -> Iterator[Server]:
        """Our server of one of the models."""
        model = f"--model_base_path={self.version(name).parent}", f"--model_name={name}"
        with (
            TemporaryDirectory() as place,
            running_server(Path(place), *model, "--port=auto", "--rest_api_port=auto", *flags) as server,
        ):
            yield server

    def grpc(self, address: str, name: str, rows: int = 1, *, clients: int = 32, connections: int = 4) -> Measured:
        """Predict over gRPC, on at most so many connections."""
        connections = min(connections, clients)
        body = str(self.message(name, rows))
        return measure(Load("grpc", address, PREDICT, body, connections, max(1, clients // connections), self.seconds))

    def rest(self, address: str, name: str, rows: int = 1, *, clients: int = 16, path: str = "") -> Measured:
        """Predict over REST, a connection a client."""
        path = path or f"/v1/models/{name}:predict"
        return measure(Load("rest", address, path, str(self.json_body(name, rows)), clients, 1, self.seconds))

    def plain_ms(self, name: str, rows: int) -> float:
        """Milliseconds of the signature in process."""
        program = sys.executable, "-m", "tfx_export.bench.plain"
        return float(run(*program, str(self.version(name)), str(self.message(name, rows)), str(self.seconds)))

    def _input(self, name: str) -> str:
        return next(iter(read_signatures(self.version(name))[DEFAULT_SIGNATURE].inputs))

    def _rows(self, name: str, rows: int) -> np.ndarray:
        return self._random.random((rows, *SHAPES[name]), np.float32)

    @cached_property
    def _random(self) -> np.random.Generator:
        return np.random.default_rng(1)


def run(*command: str) -> str:
    """What the program prints; CalledProcessError if it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True, env=quiet()).stdout


@contextmanager
def echo_server() -> Iterator[str]:
    """A grpc.aio server that answers at once; its address."""
    command = [sys.executable, "-m", "tfx_export.bench.echo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()
