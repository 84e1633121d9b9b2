"""The server that a trial measures runs with the setting of the trial."""

from pathlib import Path

import numpy as np
import pytest

from tfx_export.client import Client, ServerError
from tfx_export.tuning.server import MODEL, serving
from tfx_export.tuning.setting import Setting


def test_the_server_batches_as_the_setting_requires(served_models: Path, tmp_path: Path) -> None:
    version = served_models / "half_plus_two" / "1"
    with (
        serving(version, Setting("tensorflow", 4, 0, 1), 8, tmp_path) as target,
        Client(target) as client,
    ):
        assert client.predict(MODEL, {"x": np.zeros((4, 1), np.float32)})["y"].tolist() == [[2.0]] * 4
        with pytest.raises(ServerError, match="Task size 5 is larger than maximum input batch size 4"):
            client.predict(MODEL, {"x": np.zeros((5, 1), np.float32)})
