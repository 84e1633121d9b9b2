"""Warmup requests are generated or read from a file, sent to the model, and readable with the stock package."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import three_signatures
from tfx_export import wire
from tfx_export.errors import SpecError
from tfx_export.exporting.job import Extras
from tfx_export.exporting.pipeline import complete_version
from tfx_export.exporting.warmup import read
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.warmup_requests import WARMUP_FILE
from tfx_export.wire.tfrecord import read_records, write_records

X = np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32)
EXAMPLE = {"x": [float(value) for value in X[0]]}


@pytest.fixture
def folder(tmp_path: Path, classifier: Path) -> Path:
    return shutil.copytree(classifier, tmp_path / "1")


def logs(folder: Path, extras: Extras) -> list[wire.PredictionLog]:
    compute = partial(three_signatures.answer, three_signatures.weights())
    complete_version(folder, extras, compute, tags=["serve"], source=None, spec={}, report=lambda step: None)
    return [wire.PredictionLog.FromString(record) for record in read_records(folder / WARMUP_FILE)]


def requests(found: list[wire.PredictionLog]) -> list[tuple[str, str, list[int]]]:
    """Returns kind, signature and number of rows of each request."""
    rows: list[tuple[str, str, list[int]]] = []
    for log in found:
        kind = log.WhichOneof("log_type")
        assert kind
        request = getattr(log, kind).request
        if kind == "predict_log":
            sizes = [tensor.tensor_shape.dim[0].size for tensor in request.inputs.values()]
        else:
            sizes = [len(request.input.example_list.examples)]
        rows.append((kind, request.model_spec.signature_name, sizes))
    return rows


def test_generated_requests_use_the_method_of_each_signature(folder: Path) -> None:
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    assert requests(logs(folder, Extras(verify=False, warmup=2))) == [
        ("classify_log", "classify", [1]),
        ("classify_log", "classify", [1]),
        ("predict_log", "image", [1]),
        ("predict_log", "image", [1]),
        ("predict_log", "serving_default", [1]),
        ("predict_log", "serving_default", [1]),
    ]
    stock = [prediction_log_pb2.PredictionLog.FromString(record) for record in read_records(folder / WARMUP_FILE)]
    assert [log.WhichOneof("log_type") for log in stock] == ["classify_log"] * 2 + ["predict_log"] * 4


JSON_FILES: list[tuple[Any, list[tuple[str, str, list[int]]]]] = [
    ({"instances": X.tolist()}, [("predict_log", "serving_default", [3])]),
    ({"inputs": {"x": X.tolist()}}, [("predict_log", "serving_default", [3])]),
    ({"instances": [{"x": X[0].tolist()}]}, [("predict_log", "serving_default", [1])]),
    (X.tolist(), [("predict_log", "serving_default", [1])] * 3),
    (
        [{"signature_name": "classify", "context": EXAMPLE, "examples": [{}, EXAMPLE]}, {"instances": X.tolist()}],
        [("classify_log", "classify", [2]), ("predict_log", "serving_default", [3])],
    ),
]


@pytest.mark.parametrize(("content", "expected"), JSON_FILES)
def test_json_files_may_hold_rest_bodies_or_instances(
    tmp_path: Path, classifier: Path, content: Any, expected: list[tuple[str, str, list[int]]]
) -> None:
    (tmp_path / "requests.json").write_text(json.dumps(content))
    assert requests(read(tmp_path / "requests.json", read_signatures(classifier))) == expected


def test_each_row_of_an_npz_file_is_a_request(tmp_path: Path, folder: Path) -> None:
    np.savez(tmp_path / "data.npz", x=X)
    found = logs(folder, Extras(verify=False, warmup_from=tmp_path / "data.npz", warmup=2))
    assert requests(found) == [("predict_log", "serving_default", [1])] * 2


def test_the_requests_of_a_log_are_written_unchanged(tmp_path: Path, folder: Path) -> None:
    example = wire.Example()
    example.features.feature["x"].float_list.value.extend(EXAMPLE["x"])
    multi = wire.PredictionLog()
    task = multi.multi_inference_log.request.tasks.add(method_name="tensorflow/serving/classify")
    task.model_spec.signature_name = "classify"
    with_context = multi.multi_inference_log.request.input.example_list_with_context
    with_context.context.CopyFrom(example)
    with_context.examples.add()
    write_records(tmp_path / "log.tfrecord", [multi.SerializeToString()])
    assert logs(folder, Extras(verify=False, warmup_from=tmp_path / "log.tfrecord")) == [multi]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", "is not valid JSON"),
        ("a.json", b'{"instances": [[1, 2]]}', "Warmup request 1, to signature 'serving_default', fails"),
        ("a.json", b'{"signature_name": "nope", "instances": [1]}', "names the signature 'nope'"),
        ("a.json", b'{"instances": ["text"]}', "does not fit the signature 'serving_default'"),
        ("a.json", b'{"inputs": {"y": 1}}', "does not fit the signature 'serving_default'"),
        ("a.json", b'[{"signature_name": "image", "instances": [{"b64": "%"}]}]', "does not fit the signature 'image'"),
        ("a.json", b"[]", "no warmup requests"),
        ("log.tfrecord", b"no records", "cut off at byte 0"),
        ("data.npz", b"no arrays", "is not an .npz file"),
    ],
)
def test_an_unsuitable_file_is_refused_and_nothing_is_written(
    tmp_path: Path, folder: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError, match=message):
        logs(folder, Extras(verify=False, warmup_from=tmp_path / name))
    assert not (folder / WARMUP_FILE).exists()
