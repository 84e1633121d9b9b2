"""A server in which every model has other batching parameters."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import RunningServer, running

# A batch that is not full waits longer than any test, so it runs only when it is full.
LONG_TIMEOUT = "batch_timeout_micros { value: 120000000 }"

# Model -> its batching_params.pbtxt; None: no file.
PARAMETERS: dict[str, str | None] = {
    "no_timeout": "",
    "long_timeout": f"max_batch_size {{ value: 4 }} max_enqueued_batches {{ value: 1 }} {LONG_TIMEOUT}",
    "short_timeout": "max_batch_size { value: 4 } batch_timeout_micros { value: 1000 }",
    "sized": "max_batch_size { value: 8 } allowed_batch_sizes: [2, 8]",
    "ragged": f"max_batch_size {{ value: 2 }} pad_variable_length_inputs: true {LONG_TIMEOUT}",
    "split": "max_batch_size { value: 10 } enable_large_batch_splitting { value: true } "
    "max_execution_batch_size { value: 4 }",
    "unbatched": None,
    "broken": "max_batch_size { value: 4 } allowed_batch_sizes: 2",
}


@pytest.fixture(scope="session")
def batched_model(built: Callable[[str], Path]) -> Path:
    """The version folder of the model of build_model.py. Tests must not change it."""
    return built("tests.serve.batching.build_model") / "model" / "1"


@pytest.fixture(scope="session")
def batching_server(
    front: str, batched_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server of that model with the names and parameters in PARAMETERS."""
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
