"""A SavedModel that several tests of the exporters read, and that none of them changes."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def classifier(built: Callable[[str], Path]) -> Path:
    """The SavedModel of `tests.support.three_signatures` with its own weights."""
    return built("tests.support.accelerated_models") / "classifier" / "1"
