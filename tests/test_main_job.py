"""The main task, end to end: a Keras file is exported and served, and the responses equal the model's outputs."""

import json
import urllib.request
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.support import keras_models
from tests.support.server import RunningServer, running
from tfx_export import export_keras
from tfx_export.exporting.job import Extras

FILES = {"digits_keras": ("keras", ".keras"), "digits_h5": ("keras", ".h5"), "digits_keras2": ("tf_keras", ".h5")}
PIXELS = np.random.default_rng(5).random((7, 8), np.float32)


Expected = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Expected]]:
    """A server with the exports of all files, and the outputs of the Keras models."""
    expected: Expected = {}
    folder = tmp_path_factory.mktemp("main_job")
    for name, (library, suffix) in FILES.items():
        file = keras_models.save("dense", library, folder / f"{name}{suffix}")
        model = keras_models.library(library).models.load_model(file, compile=False)
        expected[name] = np.asarray(model(PIXELS))
        export_keras(file, folder / "models" / name, extras=Extras(verify=False))
    with running(folder, f"--model_base_path={folder / 'models'}") as server:
        yield server, expected


def over_grpc(server: RunningServer, model: str) -> np.ndarray:
    with server.client as client:
        return client.predict(model, {"pixels": PIXELS})["scores"]


def _post(server: RunningServer, model: str, body: dict[str, object]) -> dict[str, object]:
    request = urllib.request.Request(f"{server.rest}/v1/models/{model}:predict", json.dumps(body).encode())
    with urllib.request.urlopen(request) as response:
        answer: dict[str, object] = json.load(response)
    return answer


def over_rest_rows(server: RunningServer, model: str) -> np.ndarray:
    return np.asarray(_post(server, model, {"instances": PIXELS.tolist()})["predictions"])


def over_rest_columns(server: RunningServer, model: str) -> np.ndarray:
    return np.asarray(_post(server, model, {"inputs": {"pixels": PIXELS.tolist()}})["outputs"])


@pytest.mark.parametrize("send", [over_grpc, over_rest_rows, over_rest_columns])
@pytest.mark.parametrize("model", FILES)
def test_responses_equal_the_outputs_of_the_model(
    served: tuple[RunningServer, Expected], model: str, send: Callable[[RunningServer, str], np.ndarray]
) -> None:
    server, expected = served
    np.testing.assert_allclose(send(server, model), expected[model], rtol=1e-5)
