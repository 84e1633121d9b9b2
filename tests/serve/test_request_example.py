"""The example request that a started server prints, if it fits on a line: the model can answer it."""

import json
from pathlib import Path
from typing import Any

import pytest

from serve.startup.request_example import request_example
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.string_inputs import StringInputs

NOTHING = ("", None)


@pytest.mark.parametrize(
    ("model", "signature", "wanted"),
    [
        ("words", "serving_default", ("predict", {"inputs": {"word": ["text"]}})),
        ("words", "classify", ("classify", {"examples": [{"times": 0.5, "word": "text"}]})),
        ("words", "regress", ("regress", {"examples": [{"times": 0.5, "word": "text"}]})),
        ("slow", "serving_default", ("predict", {"inputs": {"loops": 1}})),
        ("image", "serving_default", NOTHING),
        ("words", "no such signature", NOTHING),
    ],
)
def test_the_request_matches_the_signature(
    served_models: Path, model: str, signature: str, wanted: tuple[str, Any]
) -> None:
    folder = served_models / model / "1"
    verb, body = request_example(read_signatures(folder).get(signature), StringInputs(folder, ["serve"]))
    assert (verb, json.loads(body or "null")) == wanted


def test_a_string_is_text_if_there_is_no_graph(served_models: Path, tmp_path: Path) -> None:
    found = read_signatures(served_models / "pictures" / "1")["serving_default"]
    assert json.loads(request_example(found, None)[1]) == {"inputs": {"image_bytes": ["text"]}}
    (tmp_path / "saved_model.pb").write_bytes(b"\x12no graph")
    assert request_example(found, StringInputs(tmp_path, ["serve"])) == ("", "")
