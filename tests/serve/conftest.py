"""A version with an accelerated model, for tests that load it in process. Tests must not write into it."""

from functools import partial
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def accelerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier of `three_signatures` with a model.tflite that is proven equal for `serving_default` only."""
    # Imported here, because most tests of the server need no TensorFlow.
    from tests.support import three_signatures
    from tfx_export.exporting.extras import Extras
    from tfx_export.exporting.pipeline import finish

    folder = tmp_path_factory.mktemp("accelerated") / "1"
    three_signatures.write(folder, three_signatures.weights())
    call = partial(three_signatures.answer, three_signatures.weights())
    extras = Extras(verify=False, accelerate="float32")
    finish(folder, extras, call, tags=["serve"], source=None, spec={}, report=lambda step: None)
    return folder
