"""GET /openapi.json describes the models as the server serves them."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.fronts import in_memory_only
from tests.support.server import RunningServer, Server

# The largest number of generated requests for each operation of a few models; a longer run covers all models.
EXAMPLES = int(os.environ.get("TFX_EXPORT_OPENAPI_EXAMPLES", "0"))
SHORT_RUN = 5, "words|half_plus_two|defaulted|image"
# `slow` would compute for hours with the numbers that are generated.
LONG_RUN = EXAMPLES, "(?!slow)[^/:]*"

WORDS = "/v1/models/words"


@pytest.fixture(scope="module")
def document(any_server: Server) -> Any:
    return any_server.request("GET", "/openapi.json").json


def body_schema(document: Any, path: str) -> Any:
    """Returns the schema of a request body, with the components that it refers to."""
    reference = document["paths"][path]["post"]["requestBody"]["$ref"]
    content = document["components"]["requestBodies"][reference.rpartition("/")[2]]["content"]["application/json"]
    return {**content["schema"], "components": document["components"]}


def examples(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Yields path, signature and body of each example."""
    for path, methods in document["paths"].items():
        if "post" in methods and "/versions/" not in path:
            reference = methods["post"]["requestBody"]["$ref"]
            body = document["components"]["requestBodies"][reference.rpartition("/")[2]]
            for name, example in body["content"]["application/json"].get("examples", {}).items():
                yield path, name, example["value"]


@in_memory_only
def test_every_model_and_version_has_its_paths(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    for target in (WORDS, f"{WORDS}/versions/1"):
        paths = {target, f"{target}/metadata", *(f"{target}:{verb}" for verb in ("predict", "classify", "regress"))}
        assert paths < set(document["paths"])
    assert "/v1/models/plus:classify" not in document["paths"]
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    ids = Counter(operation["operationId"] for operation in operations)
    assert len(ids) == len(operations)
    assert all(name.isidentifier() for name in ids)


@in_memory_only
def test_labels_have_paths_and_names_are_encoded(
    start_any_server: Callable[..., Server], served_models: Path, tmp_path: Path
) -> None:
    config = tmp_path / "models"
    config.write_text(
        f'model_config_list {{ config {{ name: "a {{b}}" base_path: "{served_models}/plus" '
        'model_platform: "tensorflow" '
        'model_version_policy { specific { versions: 1 versions: 2 } } version_labels { key: "old" value: 1 } } }'
    )
    flags = f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models"
    document = start_any_server(*flags).request("GET", "/openapi.json").json
    predicts = {path for path in document["paths"] if path.endswith(":predict")}
    model = "/v1/models/a%20%7Bb%7D"
    assert predicts == {f"{model}{suffix}:predict" for suffix in ("", "/versions/1", "/versions/2", "/labels/old")}


@in_memory_only
def test_examples_are_valid_and_accepted(any_server: Server, document: Any) -> None:
    for path, name, body in examples(document):
        jsonschema.validate(body, body_schema(document, path))
        if name == "uneven":  # by design, no request to this signature succeeds
            continue
        reply = any_server.post(path, body)
        assert reply.status == 200, (path, body, reply.body)


@in_memory_only
@pytest.mark.parametrize(
    ("path", "valid", "body"),
    [
        ("image:predict", True, {"instances": [[[[0.5]]]]}),
        ("image:predict", True, {"inputs": {"x": [[[[0.5, 1, 2]]]], "other": 1}}),
        ("image:predict", False, {"instances": []}),
        ("image:predict", False, {"instances": 1}),
        ("image:predict", False, {"instances": [["a"]]}),
        ("image:predict", False, {"instances": [1], "inputs": [1]}),
        ("image:predict", False, {}),
        ("half_plus_two:predict", True, {"signature_name": "vector", "instances": [1]}),
        ("half_plus_two:predict", True, {"signature_name": "", "instances": [[1]]}),
        ("half_plus_two:predict", False, {"signature_name": "no", "instances": [1]}),
        ("defaulted:predict", False, {"instances": [{"x": 1}]}),
        ("defaulted:predict", False, {"instances": [{"x": 1, "scale": 1, "other": 1}]}),
        ("words:predict", True, {"instances": [{"b64": "YQ=="}, "a"]}),
        ("words:predict", False, {"instances": [1]}),
        ("slow:predict", False, {"inputs": 2**31}),
        ("slow:predict", False, {"inputs": True}),
        ("words:classify", True, {"signature_name": "classify", "examples": [{"word": "a", "more": [True, False]}]}),
        ("words:classify", True, {"signature_name": "classify", "context": {"word": "a"}, "examples": [{}]}),
        ("words:classify", False, {"signature_name": "classify", "examples": [{"times": 0.5}]}),
        ("words:classify", False, {"signature_name": "classify", "examples": [{"word": 1.5}]}),
        ("words:classify", False, {"signature_name": "classify", "examples": []}),
        ("words:classify", False, {"examples": [{"word": "a"}]}),
    ],
)  # fmt: skip
def test_bodies_that_are_described_and_bodies_that_are_not(document: Any, path: str, valid: bool, body: Any) -> None:
    validator = jsonschema.Draft202012Validator(body_schema(document, f"/v1/models/{path}"))
    assert validator.is_valid(body) == valid


@in_memory_only
def test_signatures_that_json_cannot_call_are_left_out(any_server: Server, document: Any) -> None:
    schema = body_schema(document, "/v1/models/echo_tf1:predict")
    names = {signature["title"] for signature in schema["anyOf"]}
    assert {"float32", "bfloat16", "int8", "string"} < names
    assert not names & {"complex64", "qint8", "float8_e5m2", "int4"}
    # Only signatures that read tf.Examples are under :classify and :regress.
    classify = body_schema(document, "/v1/models/rated_tf1:classify")["anyOf"]
    assert {signature["title"] for signature in classify} == {"classify", "scores", "classes", "number_scores"}


@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed")
def test_generated_requests_are_answered_as_described(server: RunningServer, tmp_path: Path) -> None:
    """Requests that the document allows and refuses, from schemathesis.

    Two of its checks do not fit: a valid body may have lists of unequal lengths, or shapes that the graph does not
    take; and other methods of a path are 400, as in TensorFlow Serving.
    """
    count, models = LONG_RUN if EXAMPLES else SHORT_RUN
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{server.rest}/openapi.json"),
        *("--include-path-regex", rf"^/v1/models(/({models})(/metadata|:[a-z]+)?)?$"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance,unsupported_method"),
        *("--max-examples", str(count), "--seed", "16", "--generation-database", "none"),
        *("--continue-on-failure", "--no-color"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "Traceback" not in server.log.read_text()
    assert server.process.poll() is None
    assert json.loads(server.request("GET", "/openapi.json").body)
