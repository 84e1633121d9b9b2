"""The example request that a started server prints, if it fits on a line: the model can answer it."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from serve.startup.overview import Overview, ServedVersion
from serve.startup.request_example import request_example
from tests.support.server import RunningServer
from tfx_export.sample_request import sample_request
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.signature import PREDICT, Signature, TensorSpec
from tfx_export.savedmodel.string_inputs import StringInputs

NOTHING = ("", None)


@pytest.mark.parametrize(
    ("model", "signature", "wanted"),
    [
        ("words", "serving_default", ("predict", {"inputs": {"word": ["text"]}})),
        (
            "words",
            "classify",
            ("classify", {"signature_name": "classify", "examples": [{"times": 0.5, "word": "text"}]}),
        ),
        ("words", "regress", ("regress", {"signature_name": "regress", "examples": [{"times": 0.5, "word": "text"}]})),
        ("slow", "serving_default", ("predict", {"inputs": {"loops": 1}})),
        ("image", "serving_default", NOTHING),
    ],
)
def test_the_request_matches_the_signature(
    served_models: Path, model: str, signature: str, wanted: tuple[str, Any]
) -> None:
    folder = served_models / model / "1"
    signatures = {signature: read_signatures(folder)[signature]}
    verb, body = request_example(signatures, StringInputs(folder, ["serve"]))
    assert (verb, json.loads(body or "null")) == wanted


def test_a_string_is_text_if_there_is_no_graph(served_models: Path, tmp_path: Path) -> None:
    found = {"serving_default": read_signatures(served_models / "pictures" / "1")["serving_default"]}
    assert json.loads(request_example(found, None)[1]) == {"inputs": {"image_bytes": ["text"]}}
    (tmp_path / "saved_model.pb").write_bytes(b"\x12no graph")
    assert request_example(found, StringInputs(tmp_path, ["serve"])) == ("", "")


def predict_signature(*inputs: TensorSpec, output: str = "DT_FLOAT", name: str = "serving_default") -> Signature:
    specs = {f"x{number}": spec for number, spec in enumerate(inputs)}
    return Signature(name, PREDICT, specs, {"y": TensorSpec("y:0", output, (None,))})


def spec(dtype: str, *shape: int | None, **more: Any) -> TensorSpec:
    return TensorSpec("x:0", dtype, shape, **more)


@pytest.mark.parametrize(
    "signature",
    [
        predict_signature(spec("DT_COMPLEX64", None)),
        predict_signature(spec("DT_QINT8", None)),
        predict_signature(spec("DT_FLOAT8_E5M2", None)),
        predict_signature(spec("DT_VARIANT")),
        predict_signature(spec("DT_INVALID")),
        predict_signature(spec("DT_FLOAT", None, encoding="sparse")),
        predict_signature(spec("DT_FLOAT", None), output="DT_COMPLEX64"),
        predict_signature(TensorSpec("x:0", "DT_FLOAT", None)),
        predict_signature(spec("DT_FLOAT", None, None, None, 3)),
        predict_signature(),
    ],
    ids=str,
)
def test_there_is_no_example_if_json_cannot_hold_it_or_it_may_be_refused(signature: Signature) -> None:
    assert request_example({"serving_default": signature}, None) == ("", "")
    # Another signature has one.
    other = predict_signature(spec("DT_BOOL"), spec("DT_INT8", None, 2), name="other")
    verb, body = request_example({"serving_default": signature, "other": other}, None)
    assert verb == "predict"
    assert json.loads(body) == {"signature_name": "other", "inputs": {"x0": False, "x1": [[0, 0]]}}


def test_images_of_any_size_are_larger_than_windows_and_single_integers_are_their_sizes() -> None:
    image, size, sizes = spec("DT_FLOAT", 1, None, None, 3), spec("DT_INT32"), spec("DT_INT32", 1)
    values = sample_request(predict_signature(image, size, sizes), None).values
    assert [value.shape for value in values.values()] == [(1, 32, 32, 3), (), (1,)]
    assert [value.value for value in values.values()] == [0.5, 32, 32]
    values = sample_request(predict_signature(size, sizes), None).values
    assert [value.value for value in values.values()] == [1, 0]


def test_text_that_the_graph_parses_as_a_number_is_a_number(odd_model: Path) -> None:
    body = request_example(read_signatures(odd_model), StringInputs(odd_model, ["serve"]))[1]
    assert json.loads(body) == {"inputs": {"t": ["1"]}}


@pytest.fixture
def odd_model(built: Any) -> Path:
    return Path(built("tests.support.odd_models")) / "bad_text" / "1"


def test_examples_can_be_sent_as_they_are_printed(server: RunningServer) -> None:
    sent = 0
    for version in server.ready["versions"]:
        if version["example"]:
            reply = server.request("POST", f"/v1/models/{version['name']}:{version['verb']}", version["example"])
            assert reply.status == 200, (version["name"], reply.body)
            sent += 1
    assert sent > 5
    (command,) = [line for line in server.log.read_text().splitlines() if line.startswith("try ")]
    done = subprocess.run(["bash", "-c", command.removeprefix("try ")], capture_output=True, text=True, check=True)
    assert "error" not in done.stdout


def test_names_are_quoted_for_the_shell() -> None:
    version = ServedVersion("it's/a model", 1, "litert", {}, "predict", '{"inputs": {"it\'s": [0.5]}}')
    line = Overview({"rest": "http://[::1]:8501"}, (version,)).text().splitlines()[-1]
    assert shlex.split(line.removeprefix("try ")) == [
        *("curl", "-d", version.example),
        "http://[::1]:8501/v1/models/it%27s%2Fa%20model:predict",
    ]
