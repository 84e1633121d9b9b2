"""Warmup: a version runs the requests recorded in its folder before it becomes available."""

import sys
import time
from pathlib import Path

from google.protobuf.message import DecodeError

from serve import metrics
from serve.api import check_outputs, inputs_mismatch
from serve.classify_regress import (
    INPUTS,
    classification,
    classify_outputs,
    find_signature,
    regress_outputs,
    regression,
)
from serve.codec.example import decode_input
from serve.codec.tensor import decode_all
from serve.errors import Code, ServeError
from serve.loaded_model import LoadedModel
from tfx_export import wire
from tfx_export.savedmodel.signature import CLASSIFY
from tfx_export.savedmodel.warmup_requests import WARMUP_FILE
from tfx_export.wire.tfrecord import RecordError, read_records

MAX_RECORDS = 1000


def replay(model: LoadedModel, path: Path, *, iterations: int = 1) -> int:
    """Runs the warmup requests in the version folder `path` and returns their number.

    Raises the ServeError of the first request that fails, DATA_LOSS for a damaged file, INVALID_ARGUMENT for a file
    with other records or more than 1,000 of them. The version must not be served then.
    """
    file = path / WARMUP_FILE
    if not file.is_file():
        return 0
    started = time.perf_counter()
    count = 0
    try:
        for record in read_records(file):
            count += 1
            if count > MAX_RECORDS:
                raise ServeError(
                    Code.INVALID_ARGUMENT, f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {file}"
                )
            log = wire.PredictionLog.FromString(record)
            for _ in range(max(1, iterations)):
                _run(model, log)
    except RecordError as error:
        raise ServeError(Code.DATA_LOSS, str(error)) from None
    except DecodeError:
        raise ServeError(Code.INVALID_ARGUMENT, f"Failed to parse warmup record {count} from {file}") from None
    metrics.model_warmup_records_read.add(str(path), "OK", amount=count)
    metrics.model_warmup_latency.observe(str(path), "OK", amount=(time.perf_counter() - started) * 1e6)
    return count


def _run(model: LoadedModel, log: wire.PredictionLog) -> None:
    """Runs one logged request, with `model` in place of the model that it names."""
    kind = log.WhichOneof("log_type")
    match kind:
        case "predict_log":
            _predict(model, log.predict_log.request)
        case "classify_log":
            _classify(model, log.classify_log.request.model_spec.signature_name, log.classify_log.request.input)
        case "regress_log":
            _regress(model, log.regress_log.request.model_spec.signature_name, log.regress_log.request.input)
        case "multi_inference_log":
            request = log.multi_inference_log.request
            for task in request.tasks:
                run = _classify if task.method_name == CLASSIFY else _regress
                run(model, task.model_spec.signature_name, request.input)
        case _:
            raise ServeError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")


def _predict(model: LoadedModel, request: wire.PredictRequest) -> None:
    signature = find_signature(model, request.model_spec.signature_name)
    inputs = decode_all({**signature.defaults, **request.inputs}, max_elements=sys.maxsize)
    if inputs.keys() != signature.inputs.keys():
        raise inputs_mismatch(signature, inputs)
    model.run(signature.name, inputs, check_outputs(signature, request.output_filter or tuple(signature.outputs)))


def _classify(model: LoadedModel, name: str, given: wire.Input) -> None:
    signature, examples = find_signature(model, name), decode_input(given)
    outputs = classify_outputs(signature, check_method=False)
    classification(model.run(signature.name, {INPUTS: examples}, outputs), len(examples))


def _regress(model: LoadedModel, name: str, given: wire.Input) -> None:
    signature, examples = find_signature(model, name), decode_input(given)
    outputs = regress_outputs(signature, check_method=False)
    regression(model.run(signature.name, {INPUTS: examples}, outputs), len(examples))
