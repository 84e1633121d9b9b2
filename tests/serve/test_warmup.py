"""Warmup requests run before a version becomes available; if one is wrong, the version is not served."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fronts import in_memory_only, one_front
from tests.support.server import RunningServer, Server, publish
from tfx_export import wire
from tfx_export.savedmodel.warmup_requests import WARMUP_FILE
from tfx_export.wire.tfrecord import write_records

VECTOR = "dtype: DT_FLOAT tensor_shape { dim { size: 1 } } float_val: 1"
FEATURE = 'feature { key: "word" value { bytes_list { value: "apple" } } }'
INPUT = f"input {{ example_list {{ examples {{ features {{ {FEATURE} }} }} }} }}"
PREDICT = f'predict_log {{ request {{ model_spec {{ name: "any" }} inputs {{ key: "x" value {{ {VECTOR} }} }} }} }}'
WORDS = [
    f'classify_log {{ request {{ model_spec {{ signature_name: "classify" }} {INPUT} }} }}',
    f'regress_log {{ request {{ model_spec {{ signature_name: "regress" }} {INPUT} }} }}',
    "multi_inference_log { request { tasks { model_spec { signature_name: 'regress' } "
    f"method_name: 'tensorflow/serving/regress' }} {INPUT} }} }}",
]


def with_warmup(version: Path, model: Path, records: list[bytes]) -> Path:
    publish(version, model)
    file = model / version.name / WARMUP_FILE
    file.parent.mkdir(exist_ok=True)
    write_records(file, records)
    return model


def logs(*texts: str) -> list[bytes]:
    return [wire.parse_text(wire.PredictionLog, text).SerializeToString() for text in texts]


@one_front
@pytest.mark.parametrize(("name", "texts"), [("plus/1", [PREDICT, PREDICT]), ("words/1", WORDS)])
def test_warmup_requests_are_run(
    served_models: Path, start_server: Callable[..., RunningServer], tmp_path: Path, name: str, texts: list[str]
) -> None:
    model = with_warmup(served_models / name, tmp_path / name.split("/")[0], logs(*texts))
    server = start_server(str(model), "--num_request_iterations_for_warmup=3")
    assert server.states(model.name) == {1: "AVAILABLE"}
    assert f"with {len(texts)} requests" in server.log.read_text()


BAD = {
    "unknown_input": (
        logs(PREDICT.replace('key: "x"', 'key: "z"')),
        "input tensor alias not found in signature: z",
    ),
    "wrong_dtype": (logs(PREDICT.replace("DT_FLOAT", "DT_INT32")), "Expects arg[0] to be float"),
    "too_many": (logs(*[PREDICT] * 1001), "Number of warmup records exceeds the maximum (1000)"),
    "no_log": ([b"\xff\xff"], "Failed to parse warmup record 1"),
    "empty_log": (logs(""), "Unsupported log_type for warmup: None"),
}


@in_memory_only
def test_a_version_with_bad_warmup_requests_is_not_served(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    for name, (records, _) in BAD.items():
        with_warmup(served_models / "plus" / "1", tmp_path / "models" / name, records)
    publish(served_models / "plus" / "1", tmp_path / "models" / "good")
    server = start_any_server(str(tmp_path / "models"), "--engine=tensorflow")
    assert server.states("good") == {1: "AVAILABLE"}
    with server.client as client:
        for name, (_, message) in BAD.items():
            (status,) = client.status(name)
            assert status.state == "END"
            assert message in status.error


@in_memory_only
def test_warmup_can_be_switched_off(
    served_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    model = with_warmup(served_models / "plus" / "1", tmp_path / "plus", [b"\xff\xff"])
    assert start_any_server(str(model), "--enable_model_warmup=false").states("plus") == {1: "AVAILABLE"}


@in_memory_only
def test_an_error_that_quotes_bytes_fails_a_warmup_request_and_a_batch_in_words(
    all_models: Path, start_any_server: Callable[..., Server], tmp_path: Path
) -> None:
    example = wire.Example()
    example.features.feature["a"].float_list.value.extend([1.0, 2.0])
    example.features.feature["s"].bytes_list.value.append(b"\xff\xfe")
    log = wire.PredictionLog()
    log.regress_log.request.model_spec.signature_name = "number"
    log.regress_log.request.input.example_list.examples.append(example)
    with_warmup(all_models / "rated_tf1" / "1", tmp_path / "warm", [log.SerializeToString()])
    publish(all_models / "rated_tf1" / "1", tmp_path / "rated")
    server = start_any_server(f"--model_base_path={tmp_path}", "--enable_batching")
    text = "could not correctly convert string: \ufffd\ufffd"
    (status,) = server.request("GET", "/v1/models/warm").json["model_version_status"]
    assert (status["state"], status["status"]["error_code"]) == ("END", "INVALID_ARGUMENT")
    assert text in status["status"]["error_message"]
    encoded = base64.b64encode(example.SerializeToString()).decode()
    reply = server.post("/v1/models/rated:predict", {"signature_name": "number", "instances": [{"b64": encoded}]})
    assert (reply.status, text in reply.json["error"]) == (400, True)
