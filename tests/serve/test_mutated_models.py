"""SavedModels that were changed at random end AVAILABLE, or at END with a reason; the server answers all the while.

`make fuzz` runs some hundred mutants, `make test` a few. TFX_EXPORT_MUTANTS is their number, and TFX_EXPORT_SEED picks
others. `python -m tests.support.mutants SEED NUMBER FOLDER` writes the mutant that a failure names.
"""

import os
import shutil
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from random import Random

import numpy as np
import psutil
import pytest

from tests.support.mutants.mutant import write
from tests.support.odd_requests import requests
from tests.support.server import RunningServer, publish, wait_until
from tfx_export.client import Client, Model, ServerError

SHORT_RUN = 24
MUTANTS = int(os.environ.get("TFX_EXPORT_MUTANTS", SHORT_RUN))
SEED = int(os.environ.get("TFX_EXPORT_SEED", "15"))
FRONTS = ["python"] if MUTANTS <= SHORT_RUN else ["python", "native"]
# SavedModels that are served at the same time.
WAVE = 6
REQUEST_SECONDS = 15
# How much the server may grow between the first waves, which bring TensorFlow's code and threads, and the last.
MAX_GROWTH_BYTES = 150 << 20
GOOD = {"x": np.array([[1.0]], np.float32)}


@pytest.mark.slow
@pytest.mark.timeout(300 + 10 * MUTANTS)
@pytest.mark.parametrize("front", FRONTS, indirect=True)
def test_mutated_models_end_in_a_state(
    front: str, start_server: Callable[..., RunningServer], served_models: Path, tmp_path: Path
) -> None:
    publish(served_models / "half_plus_two" / "1", tmp_path / "models" / "good")
    server = start_server(
        str(tmp_path / "models"),
        "--watch",
        "--file_system_poll_wait_seconds=0.1",
        f"--prepared_dir={tmp_path / 'prepared'}",
        f"--max_prepare_bytes={3 << 30}",
        "--num_load_threads=2",
        "--max_prepare_seconds=60",
        "--max_num_load_retries=0",
        f"--max_request_seconds={REQUEST_SECONDS}",
    )
    served = _ServedMutants(server, tmp_path)
    numbers = count(FRONTS.index(front), len(FRONTS))
    memory = []
    while served.count * len(FRONTS) < MUTANTS:
        served.try_wave([*islice(numbers, WAVE)])
        memory.append(served.memory())
    assert max(memory[-2:]) < memory[len(memory) // 3] + MAX_GROWTH_BYTES, [used >> 20 for used in memory]


class _ServedMutants:
    """Mutants on a server that serves the model `good` as well. `count` is how many have been tried."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self.count = 0
        self._server = server
        self._models, self._written = folder / "models", folder / "written"
        root = psutil.Process(server.process.pid)
        self._processes = [root, *root.children(recursive=True)]

    def memory(self) -> int:
        """The memory of the server's processes, in bytes; shared pages count in parts."""
        return sum(process.memory_full_info().pss for process in self._processes)

    def try_wave(self, numbers: list[int]) -> None:
        """Publishes mutants, sends requests to each, and removes them again."""
        mutants = {number: write(SEED, number, self._written / str(number) / "1") for number in numbers}
        for number in numbers:
            (self._written / str(number)).rename(self._models / f"mutant{number}")
        unloaded = []
        for number, mutant in mutants.items():
            try:
                if self._try(f"mutant{number}", Random(f"{SEED} {number}")):
                    unloaded.append(f"mutant{number}")
                self._check_server()
            except Exception as error:
                log = self._server.log.read_text()[-4000:]
                pytest.fail(f"Mutant {number} of seed {SEED}, {mutant.source}: {mutant.changes}: {error!r}\n{log}")
            self.count += mutant.count
        for number in numbers:
            shutil.rmtree(self._models / f"mutant{number}")
        for name in unloaded:
            wait_until(lambda name=name: set(self._server.states(name).values()) <= {"END"})  # type: ignore[misc]

    def _try(self, name: str, chance: Random) -> bool:
        """Sends requests to each signature. Returns whether each was answered or refused in time."""
        wait_until(lambda: self._server.states(name).get(1) in ("AVAILABLE", "END"), 600)
        with Client(self._server.grpc, timeout=2 * REQUEST_SECONDS) as client:
            (status,) = client.status(name)
            if status.state == "END":
                assert status.error
                return True
            for signature in client.metadata(name).values():
                for inputs in requests(signature, chance):
                    code = _send(client, Model(name, signature=signature.name), inputs)
                    assert code not in ("UNAVAILABLE", "UNKNOWN"), signature.name
                    if code == "DEADLINE_EXCEEDED":  # a loop that was changed may not end
                        return False
        return True

    def _check_server(self) -> None:
        assert all(process.is_running() for process in self._processes), "a process of the server has ended"
        assert "Traceback" not in self._server.log.read_text()
        with Client(self._server.grpc, timeout=REQUEST_SECONDS) as client:
            assert client.predict("good", GOOD)["y"].tolist() == [[2.5]]


def _send(client: Client, model: Model, inputs: dict[str, np.ndarray]) -> str:
    """Sends a request, which may be refused. Returns the code of the error, or an empty string."""
    try:
        client.predict(model, inputs)
    except ServerError as error:
        return error.code
    except (ValueError, KeyError):  # this client cannot decode an output whose dtype NumPy does not have
        return ""
    return ""
