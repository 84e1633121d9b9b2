"""Prove that what was written computes what its source computes.

The written folder is asked in a fresh process, the source in this one; both get the same probes, and every output of
every signature is compared. An answer that is the same for every probe would pass with any weights: such outputs are
called unproven.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfx_export import wire
from tfx_export.errors import VerificationError
from tfx_export.exporting.tensorflow_errors import reason
from tfx_export.exporting.verification import compare, probes
from tfx_export.exporting.verification.isolated_run import Answers, Arrays, predict_request, replay
from tfx_export.exporting.worker_process import WorkerProcess
from tfx_export.savedmodel.export_record import Check, Verification, describe
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.string_inputs import StringInputs

# The source's own answer to the inputs of one signature, all by alias.
Ask = Callable[[str, Arrays], Arrays]


@dataclass(frozen=True)
class Asked:
    """A probe of one signature and the source's answers; `refusal` is why the source took none of the probes."""

    probe: probes.Probe | None
    answers: tuple[Arrays, ...] = ()
    refusal: str = ""


def callable_signatures(folder: Path, tags: Sequence[str] = ("serve",)) -> dict[str, Signature]:
    """The signatures of the SavedModel in `folder` that take inputs; those without are TensorFlow's own."""
    return {name: signature for name, signature in read_signatures(folder, tags).items() if signature.inputs}


def verify(
    folder: Path,
    asked: Mapping[str, Asked],
    signatures: Mapping[str, Signature],
    *,
    tags: Sequence[str] = ("serve",),
    tolerance: float | None = None,
    worker: WorkerProcess | None = None,
) -> Verification:
    """Compare the SavedModel in `folder` with what its source answered (`ask_source`), signature by signature.

    `tolerance` replaces the ones by dtype; `worker` is as for `replay`.
    Raises VerificationError if an output differs or the folder does not load.
    """
    answers = replay(folder, requests_of(asked), tags=tags, worker=worker)
    origins = dict.fromkeys(one.probe.origin for one in asked.values() if one.probe)
    verification = Verification(", ".join(origins), check_answers(asked, signatures, answers, tolerance))
    require_equal(verification)
    return verification


def ask_source(
    folder: Path,
    signatures: Mapping[str, Signature],
    ask: Ask,
    *,
    tags: Sequence[str] = ("serve",),
    probe: Path | None = None,
) -> dict[str, Asked]:
    """The source's answers by signature, to the file's probe or the first generated one that tells rows apart.

    `probe` is an .npz file of inputs; without it, and for signatures it says nothing about, inputs are generated.
    Raises SpecError if the probe file does not fit.
    """
    given = probes.from_file(probe, signatures) if probe else {}
    uses = StringInputs(folder, list(tags))
    found = {}
    for name, signature in signatures.items():
        candidates = [given[name]] if name in given else probes.generated(signature, uses)
        # Labels are the same in every row by design: where there are numbers too, those must live.
        numbers = [key for key, spec in signature.outputs.items() if spec.dtype != "DT_STRING"]
        wanted = numbers or list(signature.outputs)
        best, best_live, refusal = Asked(None), -1, ""
        for candidate in candidates:
            if best.probe and best.probe.rows != candidate.rows:
                break  # it takes batches, no need to try single rows
            try:
                answers = tuple(ask(name, inputs) for inputs in candidate.requests)
            except Exception as error:  # whatever a framework raises for inputs its model cannot take
                refusal = refusal or f"{type(error).__name__}: {reason(error)}"
                continue
            live = sum(_live([np.asarray(answer[key]) for answer in answers], candidate) for key in wanted)
            if live > best_live:
                best, best_live = Asked(candidate, answers), live
            if live == len(wanted):
                break
        found[name] = best if best.probe else Asked(None, refusal=refusal)
    return found


def requests_of(asked: Mapping[str, Asked]) -> list[wire.PredictRequest]:
    """All probes of `asked` as PredictRequests, in the order in which `check_answers` expects the answers."""
    return [predict_request(name, inputs) for name, one in asked.items() if one.probe for inputs in one.probe.requests]


def check_answers(
    asked: Mapping[str, Asked], signatures: Mapping[str, Signature], answers: Answers, tolerance: float | None = None
) -> tuple[Check, ...]:
    """One check for every output of `signatures`; `answers` are those to the probes of `asked`, in order."""
    if tolerance is None and answers.low_precision:
        tolerance = compare.LOW_PRECISION
    checks: list[Check] = []
    start = 0
    for name, one in asked.items():
        outputs = signatures[name].outputs
        if one.probe is None:
            note = f"the source takes no generated probe: {one.refusal}" if one.refusal else "no probe"
            checks += [Check(name, key, spec.dtype, "unproven", None, 0.0, note) for key, spec in outputs.items()]
            continue
        span = range(start, start + len(one.answers))
        start = span.stop
        if refused := [answers.errors[index] for index in span if index in answers.errors]:
            note = f"the export refuses what the source takes: {refused[0]}"
            checks += [Check(name, key, spec.dtype, "differs", None, 0.0, note) for key, spec in outputs.items()]
            continue
        checks += [
            compare.compare(
                name,
                key,
                [np.asarray(answer[key]) for answer in one.answers],
                [answers.outputs[index][key] for index in span],
                one.probe.rows,
                tolerance=tolerance,
            )
            for key in outputs
        ]
    return tuple(checks)


def require_equal(verification: Verification) -> None:
    """Raise VerificationError naming the outputs that differ, if any do."""
    wrong = [check for check in verification.checks if check.verdict == "differs"]
    if wrong:
        lines = [f"  {check.signature} / {check.output}: {describe(check)}" for check in wrong]
        raise VerificationError(
            "The export does not compute what its source computes; nothing was published.\n" + "\n".join(lines),
            hint="Probe inputs of your own: --probe data.npz. To publish without this check: --no-verify.",
        )


def _live(answers: Sequence[np.ndarray], probe: probes.Probe) -> bool:
    # At this stage the precision of the model is not known: the coarsest tolerance, but not ten times over.
    return compare.is_live(answers, probe.rows, compare.LOW_PRECISION / compare.LIVE)
