"""Models and settings that the tests of engines share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from serve.config import Config


@pytest.fixture(scope="session")
def odd_models(built: Callable[[str], Path]) -> Path:
    """The folder that tests/support/odd_models.py fills."""
    return built("tests.support.odd_models")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Settings with a folder for prepared versions that these tests share, so that each version is prepared once."""
    return Config(prepared_dir=str(tmp_path_factory.mktemp("prepared")))
