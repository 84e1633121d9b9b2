"""Testbed: exports the models, writes the requests and starts the servers that the benchmark measures."""

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

from tests.benchmark.models import SHAPES, TENSORFLOW_ONLY
from tfx_export.bench.plain_signature import plain_signature_ms
from tfx_export.client import Model, calls
from tfx_export.load.generator import PREDICT, Load, Measurement, measure
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE
from tfx_export.server_program import Server, running_server

TENSORFLOW, LITERT = "--engine=tensorflow", "--engine=litert"


class Testbed:
    """Models and requests are made when first needed, and kept in `folder` for later runs.

    `seconds`: the length of one measurement. `report`: called with each step.
    """

    __test__ = False  # its name would make pytest collect it

    def __init__(self, folder: Path, *, seconds: float, rounds: int, report: Callable[[str], None]) -> None:
        self.folder = folder
        self.seconds = seconds
        self.rounds = rounds
        self.report = report

    def version(self, name: str) -> Path:
        """Returns the exported version of a model of `models.py`, with a LiteRT model if not TENSORFLOW_ONLY."""
        version = self.folder / name / "1"
        if not version.exists():
            self.report(f"Exporting {name}")
            file = self.folder / f"{name}.keras"
            run_program(sys.executable, "-m", "tests.benchmark.models", name, str(file))
            options = () if name in TENSORFLOW_ONLY else ("--accelerate",)
            run_program(
                *(sys.executable, "-m", "tfx_export", "keras", str(file), "--out", str(version.parent), *options)
            )
            file.unlink()
        return version

    def message_file(self, name: str, rows: int = 1) -> Path:
        """Returns a file with a serialized PredictRequest of `rows` random rows."""
        file = self.folder / f"{name}_{rows}.request"
        if not file.exists():
            request = calls.predict(Model(name), {self._input(name): self._rows(name, rows)}).request
            file.write_bytes(request.SerializeToString())
        return file

    def json_file(self, name: str, rows: int = 1) -> Path:
        """Returns a file with the JSON body of a REST request in row format."""
        file = self.folder / f"{name}_{rows}.json"
        if not file.exists():
            file.write_text(json.dumps({"instances": self._rows(name, rows).tolist()}))
        return file

    @contextmanager
    def server(self, name: str, *flags: str) -> Iterator[Server]:
        """Runs our server with one of the models."""
        model = f"--model_base_path={self.version(name).parent}", f"--model_name={name}"
        prepared = f"--prepared_dir={self.folder / 'prepared'}"
        with (
            TemporaryDirectory() as folder,
            running_server(Path(folder), *model, "--port=auto", "--rest_api_port=auto", prepared, *flags) as server,
        ):
            yield server

    def grpc(
        self, address: str, name: str, rows: int = 1, *, clients: int = 32, connections: int = 4, seconds: float = 0.0
    ) -> Measurement:
        """Measures Predict over gRPC, with `clients` requests in flight on at most `connections` connections."""
        message = self.message_file(name, rows).read_bytes()
        return measure(Load("grpc", address, PREDICT, (message,), clients, connections, seconds or self.seconds))

    def rest(self, address: str, name: str, rows: int = 1, *, clients: int = 16, path: str = "") -> Measurement:
        """Measures predict over REST, with one connection per client."""
        path = path or f"/v1/models/{name}:predict"
        body = self.json_file(name, rows).read_bytes()
        return measure(Load("rest", address, path, (body,), clients, seconds=self.seconds))

    def plain_ms(self, name: str, rows: int, **environment: str) -> float:
        """Measures the signature in a process with these variables. Returns the median in milliseconds."""
        return plain_signature_ms(self.version(name), self.message_file(name, rows), self.seconds, environment)

    def _input(self, name: str) -> str:
        return next(iter(read_signatures(self.version(name))[DEFAULT_SIGNATURE].inputs))

    def _rows(self, name: str, rows: int) -> np.ndarray:
        return self._random.random((rows, *SHAPES[name]), np.float32)

    @cached_property
    def _random(self) -> np.random.Generator:
        return np.random.default_rng(1)


def run_program(*command: str) -> str:
    """Runs a program without TensorFlow's log. Returns its standard output, or raises CalledProcessError."""
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout


def environment() -> dict[str, str]:
    """Returns the environment of a program that should not print TensorFlow's log."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
