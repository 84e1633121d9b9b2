"""Verifies that the written SavedModel computes what its source computes.

The written folder runs in a fresh process, the source in this one, on the same probes; every output of every signature
is compared. An output that is the same for every probe would be equal with any weights: it is called unproven. An
output for which the source gives other values when it runs again on the same inputs is called random.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfx_export import wire
from tfx_export.errors import SpecError, VerificationError
from tfx_export.exporting.tensorflow_errors import short_reason
from tfx_export.exporting.verification import compare, probes
from tfx_export.exporting.verification.isolated_run import Arrays, RunResults, predict_request, run_isolated
from tfx_export.exporting.worker_process import WorkerProcess
from tfx_export.savedmodel.export_record import Check, Verification, describe
from tfx_export.savedmodel.graph_effects import find_effects
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.signature import INTERNAL_PREFIX, Signature
from tfx_export.savedmodel.string_inputs import StringInputs

# How often a source is run again if its graph draws random numbers. Once is not enough there: a random flip of four
# images is the same in two runs in one of 16 cases.
RUNS_IF_RANDOM = 8
# How often the export of a random source is run, to see whether it is random too.
RUNS_OF_RANDOM_EXPORT = 3

# Runs the source of an export: takes the name of a signature and its inputs by alias, returns its outputs by alias.
RunSignature = Callable[[str, Arrays], Arrays]


@dataclass(frozen=True)
class ProbedSignature:
    """A probe of one signature, and the source's outputs: `outputs[i]` belongs to request i, by alias.

    `random` are the outputs that had other values when the source ran again. `probe` is None if the source takes none
    of the probes; `refusal` is the first error then.
    """

    probe: probes.Probe | None
    outputs: tuple[Arrays, ...] = ()
    refusal: str = ""
    random: frozenset[str] = frozenset()


def callable_signatures(folder: Path, tags: Sequence[str] = ("serve",)) -> dict[str, Signature]:
    """Returns the signatures of a SavedModel, except for those that TensorFlow writes for itself."""
    return {name: one for name, one in read_signatures(folder, tags).items() if not name.startswith(INTERNAL_PREFIX)}


def verify(
    folder: Path,
    probed: Mapping[str, ProbedSignature],
    signatures: Mapping[str, Signature],
    *,
    tags: Sequence[str] = ("serve",),
    tolerance: float | None = None,
    worker: WorkerProcess | None = None,
) -> Verification:
    """Compares the outputs of the SavedModel in `folder` with those of its source (`probe_source`).

    `tolerance` replaces the tolerances by dtype; `worker` is as for `run_isolated`.
    Raises VerificationError if an output differs or the SavedModel does not load.
    """
    results = run_isolated(folder, probe_requests(probed), tags=tags, worker=worker)
    origins = dict.fromkeys(one.probe.origin for one in probed.values() if one.probe)
    verification = Verification(", ".join(origins), check_outputs(probed, signatures, results, tolerance))
    require_equal(verification)
    return verification


def probe_source(
    folder: Path,
    signatures: Mapping[str, Signature],
    run_source: RunSignature,
    *,
    tags: Sequence[str] = ("serve",),
    probe: Path | None = None,
) -> dict[str, ProbedSignature]:
    """Runs the source on a probe for each signature; returns probes and outputs by the signature's name.

    The probe comes from the .npz file `probe`. Without it, and for signatures whose inputs the file lacks, it is the
    first generated probe for which all outputs depend on the input, else the one with the most such outputs.
    Raises SpecError if the probe file does not fit the signatures, or if the source lacks an output.
    """
    given = probes.from_file(probe, signatures) if probe else {}
    strings = StringInputs(folder, list(tags))
    found = {}
    for name, signature in signatures.items():
        candidates = [given[name]] if name in given else probes.generate(signature, strings)
        # Labels are the same in every row by design, so numbers decide if the signature has some.
        numbers = [key for key, spec in signature.outputs.items() if spec.dtype != "DT_STRING"]
        wanted = numbers or list(signature.outputs)
        best, most_live, refusal = ProbedSignature(None), -1, ""
        for candidate in candidates:
            if best.probe and best.probe.rows != candidate.rows:
                break  # the source takes batches, so single rows need not be tried
            try:
                outputs = tuple(run_source(name, inputs) for inputs in candidate.requests)
            except Exception as error:  # a framework may raise anything for inputs that its model cannot take
                refusal = refusal or f"{type(error).__name__}: {short_reason(error)}"
                continue
            if missing := sorted(key for output in outputs for key in set(signature.outputs) - set(output)):
                raise SpecError(f"The source gives no output {missing[0]!r} for the signature {name!r}.")
            live = sum(_is_live([np.asarray(output[key]) for output in outputs], candidate) for key in wanted)
            if live > most_live:
                best, most_live = ProbedSignature(candidate, outputs), live
            if live == len(wanted):
                break
        if best.probe:
            random = find_effects(strings.graph(), [spec.tensor for spec in signature.outputs.values()]).random
            found[name] = replace(best, random=_random_outputs(run_source, signature, best, draws=random))
        else:
            found[name] = ProbedSignature(None, refusal=refusal)
    return found


def _random_outputs(
    run_source: RunSignature, signature: Signature, probed: ProbedSignature, *, draws: bool
) -> frozenset[str]:
    """Runs the source again; returns the outputs that had other values than the first time.

    `draws` is whether the graph draws random numbers: then the source runs more often, and any difference counts.
    """
    assert probed.probe
    random: set[str] = set()
    for _ in range(RUNS_IF_RANDOM if draws else 1):
        try:
            again = [run_source(signature.name, inputs) for inputs in probed.probe.requests]
        except Exception:  # it took the same inputs before
            return frozenset(signature.outputs)
        random |= {
            key
            for key in set(signature.outputs) - random
            if not compare.is_same([one[key] for one in probed.outputs], [one[key] for one in again], exact=draws)
        }
        if len(random) == len(signature.outputs):
            break
    return frozenset(random)


def probe_requests(probed: Mapping[str, ProbedSignature]) -> list[wire.PredictRequest]:
    """Returns all probes as PredictRequests, in the order in which `check_outputs` expects the results.

    Those of a random signature are repeated, to find out whether the export is random too.
    """
    return [
        predict_request(name, inputs)
        for name, one in probed.items()
        if one.probe
        for _ in range(_runs_of_export(one))
        for inputs in one.probe.requests
    ]


def _runs_of_export(probed: ProbedSignature) -> int:
    return RUNS_OF_RANDOM_EXPORT if probed.random else 1


def check_outputs(
    probed: Mapping[str, ProbedSignature],
    signatures: Mapping[str, Signature],
    results: RunResults,
    tolerance: float | None = None,
) -> tuple[Check, ...]:
    """Returns one check for every output of `signatures`; `results` are those of `probe_requests(probed)`."""
    if tolerance is None and results.low_precision:
        tolerance = compare.LOW_PRECISION
    checks: list[Check] = []
    start = 0
    for name, one in probed.items():
        outputs = signatures[name].outputs
        if one.probe is None:
            note = f"the source refuses every generated probe: {one.refusal}" if one.refusal else "no probe"
            checks += [Check(name, key, spec.dtype, "unproven", None, 0.0, note) for key, spec in outputs.items()]
            continue
        count = len(one.outputs)
        span = range(start, start + count * _runs_of_export(one))
        start = span.stop
        if errors := [results.errors[index] for index in span if index in results.errors]:
            note = f"the export refuses inputs that the source takes: {errors[0]}"
            checks += [Check(name, key, spec.dtype, "differs", None, 0.0, note) for key, spec in outputs.items()]
            continue
        checks += [
            compare.compare(
                name,
                key,
                [np.asarray(output[key]) for output in one.outputs],
                [results.outputs[index][key] for index in span[:count]],
                one.probe.rows,
                tolerance=tolerance,
                random_note=_random_note([results.outputs[index][key] for index in span], count)
                if key in one.random
                else "",
            )
            for key in outputs
        ]
    return tuple(checks)


def _random_note(outputs: Sequence[np.ndarray], count: int) -> str:
    """Returns what is said of a random output, from the export's outputs for `count` requests, run several times."""
    runs = [outputs[start : start + count] for start in range(0, len(outputs), count)]
    constant = all(compare.is_same(runs[0], run, exact=True) for run in runs[1:])
    return compare.RANDOM_NOTE + (", but the export always the same values" if constant else "")


def require_equal(verification: Verification) -> None:
    """Raises VerificationError with the outputs that differ, if any do."""
    wrong = [check for check in verification.checks if check.verdict == "differs"]
    if wrong:
        lines = [f"  {check.signature} / {check.output}: {describe(check)}" for check in wrong]
        raise VerificationError(
            "The export does not compute what its source computes; nothing was published.\n" + "\n".join(lines),
            hint="To use your own inputs: --probe data.npz. To publish without this check: --no-verify.",
        )


def _is_live(outputs: Sequence[np.ndarray], probe: probes.Probe) -> bool:
    # The precision of the model is not known yet: the threshold is one tolerance for low precision, not ten.
    return compare.is_live(outputs, probe.rows, compare.LOW_PRECISION / compare.LIVE)
