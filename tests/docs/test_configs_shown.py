"""Every ModelServerConfig that the documentation shows starts a server, and its labels are answered."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.docs.page import PAGES, ROOT, blocks
from tests.support.in_memory import in_memory
from tfx_export import wire
from tfx_export.client import Model

EXAMPLES = sorted((ROOT / "examples").glob("*/README.md"))
SHOWN = [
    pytest.param(block.text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in (*PAGES, *EXAMPLES)
    for number, block in enumerate(blocks(page))
    if "model_config_list" in block.text
]


def test_there_are_configs() -> None:
    assert SHOWN


@pytest.mark.parametrize("text", SHOWN)
def test_a_config_as_it_is_shown_starts(text: str, served_models: Path, tmp_path: Path) -> None:
    """The models on the page are in /models, with versions 1 and 2."""
    file = tmp_path / "models.config"
    file.write_text(text.replace('"/models/', f'"{tmp_path}/models/'))
    models = wire.parse_text(wire.ModelServerConfig, file.read_bytes()).model_config_list.config
    assert models
    for model in models:
        for folder in "12":
            shutil.copytree(served_models / "plus" / folder, Path(model.base_path, folder))
    with in_memory(f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1") as server:
        with server.client as client:
            for model in models:
                for label, version in model.version_labels.items():
                    answer = client.predict(Model(model.name, label=label), {"x": np.zeros(1, np.float32)})
                    assert answer["y"].tolist() == [version]
        assert {model.name for model in models} == {
            each["name"] for each in server.request("GET", "/v1/models").json["models"]
        }
