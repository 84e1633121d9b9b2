"""One server in which every model is batched in its own way."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import RunningServer, running

# A batch that is not full waits longer than any test: it is full, or nothing happens.
PATIENT = "batch_timeout_micros { value: 120000000 }"

# Model -> its batching_params.pbtxt; None: it has none.
PARAMETERS: dict[str, str | None] = {
    "eager": "",
    "patient": f"max_batch_size {{ value: 4 }} max_enqueued_batches {{ value: 1 }} {PATIENT}",
    "brief": "max_batch_size { value: 4 } batch_timeout_micros { value: 1000 }",
    "sized": "max_batch_size { value: 8 } allowed_batch_sizes: [2, 8]",
    "ragged": f"max_batch_size {{ value: 2 }} pad_variable_length_inputs: true {PATIENT}",
    "split": "max_batch_size { value: 10 } enable_large_batch_splitting { value: true } "
    "max_execution_batch_size { value: 4 }",
    "unbatched": None,
    "broken": "max_batch_size { value: 4 } allowed_batch_sizes: 2",
}


@pytest.fixture(scope="session")
def batched_model(built: Callable[[str], Path]) -> Path:
    """The version folder of the model of build_model.py; read only."""
    return built("tests.serve.batching.build_model") / "model" / "1"


@pytest.fixture(scope="session")
def batching_server(
    front: str, batched_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server of that model under the names and with the parameters of PARAMETERS."""
    models = tmp_path_factory.mktemp("models")
    for name, parameters in PARAMETERS.items():
        version = models / name / "1"
        shutil.copytree(batched_model, version)
        if parameters is not None:
            (version / "batching_params.pbtxt").write_text(parameters)
    flags = [
        "--enable_batching",
        "--enable_per_model_batching_parameters",
        f"--model_base_path={models}",
        f"--front={front}",
    ]
    with running(tmp_path_factory.mktemp("server"), *flags, "--max_num_load_retries=0") as server:
        yield server
