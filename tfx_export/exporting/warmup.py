"""Warmup: the requests that a server runs before a version serves, so that no client waits for the first run."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.errors import SpecError
from tfx_export.exporting import warmup_json
from tfx_export.exporting.files import require_file
from tfx_export.exporting.verification.isolated_run import Arrays, predict_request, run_isolated
from tfx_export.exporting.verification.probes import from_file
from tfx_export.exporting.verification.verify import ProbedSignature
from tfx_export.savedmodel.signature import CLASSIFY, REGRESS, Signature
from tfx_export.savedmodel.warmup_requests import WARMUP_FILE
from tfx_export.wire.tfrecord import RecordError, read_records, write_records

# TensorFlow Serving does not load a version with more warmup requests.
MAX_RECORDS = 1000

Signatures = Mapping[str, Signature]


def write(folder: Path, logs: Sequence[wire.PredictionLog], signatures: Signatures, *, tags: Sequence[str]) -> None:
    """Writes `logs` into the SavedModel in `folder`, after running each of them on it.

    Raises SpecError if one fails, because a server would refuse to load the version.
    """
    if not logs:
        raise SpecError("There are no warmup requests to write.")
    if len(logs) > MAX_RECORDS:
        raise SpecError(f"There are {len(logs)} warmup requests, but TensorFlow Serving takes at most {MAX_RECORDS}.")
    runs = [(number, run) for number, log in enumerate(logs, 1) for run in _runs(log, signatures)]
    results = run_isolated(folder, [run for _, run in runs], tags=tags)
    if results.errors:
        index = min(results.errors)
        number, run = runs[index]
        raise SpecError(
            f"Warmup request {number}, to signature {run.model_spec.signature_name!r}, fails: {results.errors[index]}"
        )
    (folder / WARMUP_FILE).parent.mkdir(exist_ok=True)
    write_records(folder / WARMUP_FILE, (log.SerializeToString() for log in logs))


def from_probes(probed: Mapping[str, ProbedSignature], signatures: Signatures, count: int) -> list[wire.PredictionLog]:
    """Returns `count` requests of one row for each signature, from the rows of its probe."""
    logs = []
    for name, one in probed.items():
        if one.probe:
            rows = list(chain.from_iterable(_rows(signatures[name], inputs) for inputs in one.probe.requests))
            logs += [_log(signatures[name], rows[index % len(rows)]) for index in range(count)]
    return logs


def read(path: Path, signatures: Signatures, count: int | None = None) -> list[wire.PredictionLog]:
    """Reads the first `count` requests in `path` (None: all, up to MAX_RECORDS).

    The file is an .npz file with an array for each input, where each row is a request; a .json file of REST bodies or
    instances; or a TFRecord file of PredictionLogs, such as a server's request log. Raises SpecError if it cannot be
    read.
    """
    limit = MAX_RECORDS if count is None else count
    require_file("warmup", path)
    found: Iterator[wire.PredictionLog]
    if path.suffix == ".npz":
        probes = from_file(path, signatures, limit)
        found = (
            _log(signatures[name], row)
            for name, probe in probes.items()
            for row in _rows(signatures[name], probe.requests[0])
        )
    elif path.suffix == ".json":
        found = (_log(signatures[name], inputs) for name, inputs in warmup_json.read(path, signatures))
    else:
        found = _read_logs(path)
    return list(islice(found, limit))


def _read_logs(path: Path) -> Iterator[wire.PredictionLog]:
    try:
        for record in read_records(path):
            yield wire.PredictionLog.FromString(record)
    except RecordError as error:
        raise SpecError(str(error)) from None
    except DecodeError:
        raise SpecError(f"{path} is a TFRecord file, but its records are not PredictionLogs.") from None


def _rows(signature: Signature, inputs: Arrays) -> Iterator[Arrays]:
    """Yields one request per row if all inputs have the same number of rows, else all inputs as one request.

    A signature that takes one batch size only gets all inputs as one request too.
    """
    lengths = {len(array) if array.ndim else 0 for array in inputs.values()}
    fixed = any(spec.shape and spec.shape[0] is not None for spec in signature.inputs.values())
    if len(lengths) != 1 or 0 in lengths or fixed:
        yield inputs
        return
    for index in range(lengths.pop()):
        yield {alias: array[index : index + 1] for alias, array in inputs.items()}


def _log(signature: Signature, inputs: Arrays) -> wire.PredictionLog:
    """Returns a request to `signature` as a PredictionLog of its method; for Classify and Regress with tf.Examples."""
    log = wire.PredictionLog()
    if signature.method not in (CLASSIFY, REGRESS):
        log.predict_log.request.CopyFrom(predict_request(signature.name, inputs))
        return log
    request = (log.classify_log if signature.method == CLASSIFY else log.regress_log).request
    request.model_spec.signature_name = signature.name
    (serialized,) = inputs.values()
    examples = request.input.example_list.examples
    examples.extend(wire.Example.FromString(item) for item in serialized.ravel().tolist())
    return log


def _runs(log: wire.PredictionLog, signatures: Signatures) -> Iterator[wire.PredictRequest]:
    """Yields the runs that a server does for `log`, as PredictRequests."""
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        yield log.predict_log.request
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        yield _on_examples(request.model_spec.signature_name, request.input, signatures)
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        for task in request.tasks:
            yield _on_examples(task.model_spec.signature_name, request.input, signatures)
    else:
        raise SpecError(f"A warmup record holds {kind or 'no request'}, which a server cannot replay.")


def _on_examples(name: str, given: wire.Input, signatures: Signatures) -> wire.PredictRequest:
    name = name or "serving_default"
    if name not in signatures:
        raise SpecError(
            f"A warmup request names the signature {name!r}, which the model does not have.",
            hint=f"Signatures: {', '.join(sorted(signatures))}",
        )
    if given.WhichOneof("kind") == "example_list_with_context":
        # A feature of the example overrides the feature of that name in the context.
        both = given.example_list_with_context
        examples = [wire.Example.FromString(both.context.SerializeToString()) for _ in both.examples]
        for merged, example in zip(examples, both.examples, strict=True):
            for feature, value in example.features.feature.items():
                merged.features.feature[feature].CopyFrom(value)
    else:
        examples = list(given.example_list.examples)
    array = np.array([example.SerializeToString() for example in examples], dtype=object)
    return predict_request(name, dict.fromkeys(signatures[name].inputs, array))
