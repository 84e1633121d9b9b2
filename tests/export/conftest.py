"""SavedModels that several tests of the exporters read; none of them writes into one."""

from pathlib import Path

import pytest

from tests.support import three_signatures


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SavedModel of `tests.support.three_signatures` with its own weights."""
    folder = tmp_path_factory.mktemp("classifier") / "1"
    three_signatures.write(folder, three_signatures.weights())
    return folder
