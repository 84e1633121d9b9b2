"""GetModelMetadata and GetModelStatus, called with the stubs of tensorflow-serving-api."""

from typing import Any

import grpc
import pytest

pytest.importorskip("tensorflow_serving.apis")
from google.protobuf import json_format, text_format
from google.protobuf.struct_pb2 import Struct
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
)


def test_metadata(predictions: Any) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    text_format.Parse('model_spec { name: "defaulted" } metadata_field: "signature_def"', request)
    answer = predictions.GetModelMetadata(request)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("defaulted", 1)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert {name: (info.name, info.dtype) for name, info in signature.inputs.items()} == {
        "x": ("x:0", 1),
        "scale": ("scale:0", 1),
    }
    assert not signature.defaults


def test_metadata_tells_what_loading_took(predictions: Any) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    text_format.Parse('model_spec { name: "counter" } metadata_field: "load_report"', request)
    answer = predictions.GetModelMetadata(request)
    assert list(answer.metadata) == ["load_report"]
    members = Struct()
    assert answer.metadata["load_report"].Unpack(members)
    report = json_format.MessageToDict(members)
    assert report["engine"] == "tensorflow"
    assert report["load_seconds"] > 0
    assert report["memory_bytes"] >= report["mapped_bytes"] == 0
    assert report["preparation"] == "served as it is"
    assert "Assign" in report["reason"]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ('metadata_field: "signature_def"', "INVALID_ARGUMENT", "Missing ModelSpec"),
        ('model_spec { name: "plus" }', "INVALID_ARGUMENT", "must specify at least one metadata_field"),
        ('model_spec { name: "plus" } metadata_field: "x"', "INVALID_ARGUMENT", "Metadata field x is not supported"),
        ('model_spec { name: "q" } metadata_field: "signature_def"', "NOT_FOUND", "Servable not found for request"),
    ],
)
def test_metadata_rejects(predictions: Any, text: str, code: str, message: str) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    text_format.Parse(text, request)
    with pytest.raises(grpc.RpcError) as caught:
        predictions.GetModelMetadata(request)
    assert caught.value.code().name == code
    assert message in caught.value.details()


@pytest.mark.parametrize("version", ["", "version { value: 4 }", 'version_label: "any"'])
def test_status(models: Any, version: str) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    text_format.Parse(f'model_spec {{ name: "plus" {version} }}', request)
    (status,) = models.GetModelStatus(request).model_version_status
    assert (status.version, status.state, status.status.error_code) == (4, 30, 0)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "INVALID_ARGUMENT", "Missing ModelSpec"),
        ('model_spec { name: "q" }', "NOT_FOUND", "Could not find any versions of model q"),
        ('model_spec { name: "plus" version { value: 9 } }', "NOT_FOUND", "Could not find version 9 of model plus"),
    ],
)
def test_status_rejects(models: Any, text: str, code: str, message: str) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    text_format.Parse(text, request)
    with pytest.raises(grpc.RpcError) as caught:
        models.GetModelStatus(request)
    assert caught.value.code().name == code
    assert message in caught.value.details()
