"""Fixtures that many test modules share."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SavedModels of tests/support/build_saved_models.py; read only."""
    folder = tmp_path_factory.mktemp("saved_models")
    subprocess.run([sys.executable, "-m", "tests.support.build_saved_models", str(folder)], check=True)
    return folder
