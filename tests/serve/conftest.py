"""An accelerated version for engines to load. Tests must not write into it."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def accelerated(built: Callable[[str], Path]) -> Path:
    """The classifier of `three_signatures` with a model.tflite that was verified for `serving_default` only."""
    return built("tests.support.accelerated_models") / "accelerated" / "1"
