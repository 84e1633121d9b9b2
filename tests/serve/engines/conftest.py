"""An accelerated version, for engines to load; no test writes into it."""

from functools import partial
from pathlib import Path

import pytest

from tests.support import three_signatures
from tfx_export.exporting.extras import Extras
from tfx_export.exporting.pipeline import finish


@pytest.fixture(scope="session")
def accelerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier of `three_signatures` with a model.tflite that was proven for `serving_default` only."""
    folder = tmp_path_factory.mktemp("accelerated") / "1"
    three_signatures.write(folder, three_signatures.weights())
    ask = partial(three_signatures.answer, three_signatures.weights())
    extras = Extras(verify=False, accelerate="float32")
    finish(folder, extras, ask, tags=["serve"], source=None, spec={}, report=lambda step: None)
    return folder
