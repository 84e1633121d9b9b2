"""Adds a LiteRT model next to saved_model.pb, with the signatures whose outputs it reproduces."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tfx_export.errors import VerificationError
from tfx_export.exporting.verification.compare import LOW_PRECISION, TOLERANCES
from tfx_export.exporting.verification.isolated_run import RunResults, run_isolated
from tfx_export.exporting.verification.verify import ProbedSignature, callable_signatures, check_outputs, probe_requests
from tfx_export.exporting.worker_process import WorkerProcess
from tfx_export.savedmodel.export_record import (
    TFLITE,
    Accelerated,
    Check,
    Precision,
    describe,
    file_hashes,
    sha256,
    signature_verdict,
)
from tfx_export.savedmodel.graph_effects import find_effects
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.string_inputs import StringInputs
from tfx_export.wire.tfrecord import write_records

# The largest error, relative to the largest expected value, with which a signature is kept.
TOLERANCE: Mapping[Precision, float] = {"float32": TOLERANCES["DT_FLOAT"], "float16": LOW_PRECISION, "int8": 0.05}


def accelerate(
    folder: Path,
    probed: Mapping[str, ProbedSignature],
    *,
    precision: Precision = "float32",
    tags: Sequence[str] = ("serve",),
    calibrate: bool = False,
) -> Accelerated:
    """Converts the SavedModel in `folder` to a `model.tflite` in it, and verifies it.

    `probed` holds the probes and the outputs to compare with. `int8` stores the weights in 8 bits; with `calibrate`
    the activations too, in ranges measured on the probes. Signatures that do not convert, or whose outputs differ, are
    left out; if none is left, there is no file. Returns the signatures in the file, the errors of their
    outputs, and the reasons for those left out.
    """
    signatures = callable_signatures(folder, tags)
    left_out = {
        name: reason for name in signatures if (reason := _cannot_convert(folder, signatures[name], tags, probed))
    }
    (folder / TFLITE).unlink(missing_ok=True)
    checks: tuple[Check, ...] = ()
    names = [name for name in signatures if name not in left_out]
    while names:
        if refusals := _convert(folder, names, probed, precision, tags, calibrate):
            left_out |= refusals
        else:
            checks = _check(folder, {name: probed[name] for name in names}, signatures, precision)
            left_out |= {
                name: _difference(checks, name) for name in names if signature_verdict(checks, name) == "differs"
            }
        if not set(names) & set(left_out):
            break
        (folder / TFLITE).unlink(missing_ok=True)
        names = [name for name in names if name not in left_out]
    return Accelerated(
        sha256=sha256(folder / TFLITE) if names else "",
        precision=precision,
        of=file_hashes(folder),
        signatures=tuple(names),
        left_out=left_out,
        checks=checks if names else (),
    )


def _cannot_convert(
    folder: Path, signature: Signature, tags: Sequence[str], probed: Mapping[str, ProbedSignature]
) -> str:
    """Returns why a signature cannot be converted, or "".

    Checked first, because the converter needs as long to refuse a signature as to convert it.
    """
    strings = StringInputs(folder, list(tags))
    for spec in signature.inputs.values():
        if spec.dtype == "DT_STRING":
            use = strings.of(spec.tensor)
            if use.features:
                return "LiteRT has no operator to parse tf.Example"
            if use.image:
                return "LiteRT has no operator to decode images"
    one = probed.get(signature.name)
    if one is None or one.probe is None:
        return "there are no probe inputs to compare it on; give some with --probe"
    if one.random:
        return f"{', '.join(sorted(one.random))}: random, so it cannot be compared"
    if find_effects(strings.graph(), [spec.tensor for spec in signature.outputs.values()]).assigned:
        return "it changes variables when it runs, and each copy of a LiteRT model would have its own"
    return ""


def _convert(
    folder: Path,
    names: Sequence[str],
    probed: Mapping[str, ProbedSignature],
    precision: Precision,
    tags: Sequence[str],
    calibrate: bool,
) -> dict[str, str]:
    """Converts `names` into one file in `folder`. If that fails, returns the reason for each that fails alone."""
    with tempfile.TemporaryDirectory(prefix="tfx-export-") as temporary:
        work = Path(temporary)
        job = {"folder": str(folder), "tags": list(tags), "signatures": list(names), "precision": precision}
        (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
        if calibrate:
            requests = probe_requests({name: probed[name] for name in names})
            write_records(work / "requests", (request.SerializeToString() for request in requests))
        try:
            with WorkerProcess("tfx_export.exporting.convert_worker") as worker:
                worker.run(work, "The converter")
        except VerificationError as error:
            refusal = error.message
        else:
            if (work / TFLITE).exists():
                shutil.copyfile(work / TFLITE, folder / TFLITE)
                return {}
            refusal = (work / "refusal").read_text(encoding="utf-8")
    if len(names) == 1:
        return {names[0]: refusal}
    alone = [_convert(folder, [name], probed, precision, tags, calibrate) for name in names]
    refusals = {name: reason for one in alone for name, reason in one.items()}
    # Each converts alone, but one file cannot hold them together.
    return refusals or dict.fromkeys(names[1:], f"with the other signatures: {refusal}")


def _check(
    folder: Path, probed: Mapping[str, ProbedSignature], signatures: Mapping[str, Signature], precision: Precision
) -> tuple[Check, ...]:
    try:
        results = run_isolated(folder, probe_requests(probed), lite=True)
    except VerificationError as error:
        results = RunResults((), dict.fromkeys(range(len(probe_requests(probed))), error.message), False)
    checks = check_outputs(probed, signatures, results, TOLERANCE[precision])
    return checks if precision == "float32" else tuple(_with_agreement(check, probed, results) for check in checks)


def _with_agreement(check: Check, probed: Mapping[str, ProbedSignature], results: RunResults) -> Check:
    """Adds how often the class with the largest score stays the same, if the output is `[batch, classes]` floats."""
    start = 0
    for name, one in probed.items():
        if name == check.signature and check.error is not None:
            pairs = [
                (np.asarray(output[check.output]), results.outputs[start + index][check.output])
                for index, output in enumerate(one.outputs)
            ]
            if all(want.ndim == 2 and want.shape[1] > 1 and want.dtype.kind == "f" for want, _ in pairs):
                same = np.concatenate([want.argmax(1) == got.argmax(1) for want, got in pairs])
                note = f"same top class in {same.sum()} of {same.size} rows"
                return replace(check, note=f"{check.note}, {note}" if check.note else note)
        start += len(one.outputs)
    return check


def _difference(checks: Sequence[Check], name: str) -> str:
    return next(
        f"{check.output}: {describe(check)}"
        for check in checks
        if check.signature == name and check.verdict == "differs"
    )
