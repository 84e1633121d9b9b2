"""The steps of an export, from the call of an API function (api.py) to the published version.

An API function puts its arguments into an `ExportJob` (job.py), looks at the source file without TensorFlow
(sources/keras_file.py, sources/session_file.py), and calls `export`, which takes these steps:

1. Check everything that can be checked without TensorFlow: files that the spec names, the target, the extras.
2. Start TensorFlow, here and in the process that verifies later, at the same time.
3. Open the source (sources/): the result is a `SourceGraph` (source_graph.py), a TF1 graph with initialised state.
4. Build the signatures in its graph (signatures/), with the names, dtypes and methods of the spec (spec/).
5. Write the SavedModel into a staging folder (write_savedmodel.py).
6. Verify (verification/): run the source in this process and the written SavedModel in another one on the same inputs,
   and compare every output of every signature.
7. Warm up (warmup.py): write requests for the server to run before a version serves, after the model answered each.
8. Accelerate (accelerate.py): add a LiteRT model with the signatures whose outputs are equal.
9. Record the source of the SavedModel and the results of its verification (savedmodel/export_record.py).
10. Publish (savedmodel/publish.py): rename the staging folder into place, then remove old versions.

Steps 6 to 8 are optional (`Extras`). Nothing is visible in the model's folder before step 10, and an error in any
step before leaves nothing behind.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

from tfx_export.errors import PublishError, SourceError
from tfx_export.exporting.job import Exported, ExportJob, Extras, Report, Target
from tfx_export.exporting.spec.model import ExportSpec, as_plain
from tfx_export.exporting.user_code import exits_as_errors
from tfx_export.exporting.worker_process import WorkerProcess
from tfx_export.savedmodel import export_record
from tfx_export.savedmodel.export_record import ExportRecord, Source
from tfx_export.savedmodel.publish import prune, publish, staging, translate_os_errors
from tfx_export.savedmodel.signature import Signature
from tfx_export.tensorflow_import import import_tensorflow

if TYPE_CHECKING:
    from tfx_export.exporting.source_graph import SourceGraph
    from tfx_export.exporting.verification.verify import RunSignature

# Names that Keras 3 and Keras 2 give to inputs without a name.
_GENERATED_NAME = re.compile(r"input_layer(_\d+)?|keras_tensor(_\d+)?(CLONE)?|input_\d+|\w+_\d+_input")
_LIBRARIES = ("tensorflow", "keras", "tf_keras", "numpy", "ai-edge-litert")


def export(
    job: ExportJob,
    open_source: Callable[[], "SourceGraph"],
    identify_source: Callable[[], Source] | None = None,
) -> Exported:
    """Exports the source that `open_source` opens, and returns the published version.

    `open_source` is called once TensorFlow is imported. `identify_source` returns the source's entry in the record; a
    live object has none. Raises a TfxExportError, and then nothing was published.
    """
    job.check()
    with exits_as_errors(), _started_tensorflow(job) as worker:
        from tfx_export.exporting import write_savedmodel
        from tfx_export.exporting.signatures.build_signature import build_signatures, source_runner

        source_record = identify_source() if identify_source else None
        job.report("Loading the model")
        with (
            open_source().renamed(job.spec.input_names, job.spec.output_names) as source,
            staging(job.target.out) as staged,
        ):
            _require_servable(source)
            job.report("Building the signatures")
            signature_graphs = build_signatures(source, job.spec)
            signatures = tuple(graph.signature for graph in signature_graphs)
            notes = (
                *source.notes,
                *unused_notes(source.unused_inputs()),
                *state_notes(source.changed_variables()),
                *name_notes(signatures),
            )
            job.report("Writing the SavedModel")
            write_savedmodel.write(source, signatures, staged, job.spec)
            record = complete_version(
                staged,
                job.extras,
                source_runner(signature_graphs),
                tags=job.spec.tags,
                source=source_record,
                spec=as_plain(job.spec) | _recorded_signatures(job.spec, signatures),
                report=job.report,
                worker=worker,
            )
            job.report("Publishing")
            size, weight_size = _size(staged), _size(staged / "variables")
            path = publish(staged, job.target.version, overwrite=job.target.overwrite)
    pruned, prune_notes = _prune(job.target)
    seconds = time.monotonic() - job.started
    return Exported(
        path,
        source.description,
        signatures,
        size,
        weight_size,
        seconds,
        (*notes, *random_notes(record), *prune_notes),
        record,
        pruned,
    )


def complete_version(
    folder: Path,
    extras: Extras,
    run_source: "RunSignature",
    *,
    tags: Sequence[str],
    source: Source | None,
    spec: dict[str, object],
    report: Report,
    worker: WorkerProcess | None = None,
) -> ExportRecord:
    """Takes steps 6 to 9 on the SavedModel written into `folder`; `extras` says which of 6 to 8 to take.

    `run_source` computes the source's own outputs. `worker` is a process started before by `start_run_worker`.
    Raises VerificationError if the SavedModel does not compute what its source computes, SpecError if a file of
    `extras` does not fit the signatures.
    """
    from tfx_export.exporting import accelerate, warmup
    from tfx_export.exporting.verification import verify
    from tfx_export.exporting.verification.loaded_model import SessionModel

    signatures = verify.callable_signatures(folder, tags)
    verification, accelerated, probed = None, None, {}
    with ExitStack() as stack, translate_os_errors(folder.parent):
        if extras.verify:
            report("Verifying in a fresh process")
        elif extras.warmup or extras.accelerate:
            # Without verification the written model itself provides the outputs for the probes.
            run_source = stack.enter_context(SessionModel(folder, tags)).run
        if extras.verify or extras.accelerate or (extras.warmup and not extras.warmup_from):
            probed = verify.probe_source(folder, signatures, run_source, tags=tags, probe=extras.probe)
        if extras.verify:
            verification = verify.verify(folder, probed, signatures, tags=tags, worker=worker)
        if extras.warmup or extras.warmup_from:
            report("Replaying the warmup requests")
            logs = (
                warmup.read(extras.warmup_from, signatures, extras.warmup)
                if extras.warmup_from
                else warmup.from_probes(probed, signatures, extras.warmup or 0)
            )
            warmup.write(folder, logs, signatures, tags=tags)
        if extras.accelerate:
            report("Converting to LiteRT and comparing")
            accelerated = accelerate.accelerate(
                folder, probed, precision=extras.accelerate, tags=tags, calibrate=extras.probe is not None
            )
        record = ExportRecord(
            tool=version("tfx-export"),
            created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            source=source,
            libraries=_libraries(),
            spec=spec,
            verification=verification,
            accelerated=accelerated,
        )
        export_record.write(folder, record)
    return record


@contextmanager
def _started_tensorflow(job: ExportJob) -> Iterator[WorkerProcess | None]:
    """Imports TensorFlow; yields the process that verifies, which imports TensorFlow at the same time."""
    # Imported here, because it imports numpy: a wrong argument is reported without that.
    from tfx_export.exporting.verification.isolated_run import start_run_worker

    job.report("Starting TensorFlow")
    with start_run_worker() if job.extras.verify else nullcontext() as worker:
        import_tensorflow()
        yield worker


def _require_servable(source: "SourceGraph") -> None:
    """Raises SourceError if no server can run the source: without outputs, or with Python code in its graph."""
    if python := source.effects.python:
        raise SourceError(
            f"Python code inside the graph cannot be exported: {', '.join(python)}.",
            hint="A server has no such code. Replace tf.numpy_function and tf.py_function by ops of TensorFlow, or do "
            "their work in the client.",
        )
    if not source.outputs:
        raise SourceError(
            f"{source.description} returns nothing, so there is no output to serve.",
            hint="Return a tensor, or a dict of tensors: return {'scores': scores}",
        )
    for kind, tensors in (("input", source.inputs), ("output", source.outputs)):
        for name, tensor in tensors.items():
            if tensor.dtype.name in ("variant", "resource"):
                raise SourceError(
                    f"The {kind} {name!r} of {source.description} is not a tensor of values, but a {tensor.dtype.name} "
                    "(a dataset, a list of tensors or the like), which cannot be sent."
                )


def unused_notes(inputs: Sequence[str]) -> tuple[str, ...]:
    """Returns a note if no output depends on the `inputs`."""
    if not inputs:
        return ()
    return (f"No output depends on {', '.join(inputs)}. The signatures keep such inputs, because clients send them.",)


def state_notes(changed: Sequence[str]) -> tuple[str, ...]:
    """Returns a note if the model assigns the variables `changed` when it runs."""
    if not changed:
        return ()
    names = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
    return (
        f"The model changes variables when it runs ({names}): all clients of a server share that state, and the "
        "answer to a request can depend on the requests before it.",
    )


def random_notes(record: ExportRecord) -> tuple[str, ...]:
    """Returns a note if outputs of the source are random."""
    checks = record.verification.checks if record.verification else ()
    names = list(dict.fromkeys(repr(check.output) for check in checks if check.verdict == "random"))
    if not names:
        return ()
    outputs = f"output {names[0]} is" if len(names) == 1 else f"outputs {', '.join(names)} are"
    return (f"The {outputs} random: cannot be proven equal, because the source gives other values each time it runs.",)


def name_notes(signatures: Sequence[Signature]) -> tuple[str, ...]:
    """Returns a note if an input has a name that Keras generated, such as `input_layer_1`."""
    names = {alias for signature in signatures for alias in signature.inputs}
    generated = sorted(name for name in names if _GENERATED_NAME.fullmatch(name))
    if not generated:
        return ()
    return (
        f"Keras generated the name of the input {generated[0]!r}, and may generate another one when the model is built "
        f"again. To choose a name: --input-name {generated[0]}=NAME",
    )


def _recorded_signatures(spec: ExportSpec, signatures: Sequence[Signature]) -> dict[str, object]:
    """Returns the signatures for the record, if the spec describes none."""
    if spec.signatures:
        return {}
    return {"signatures": [{"name": one.name, "method": one.method.rpartition("/")[2]} for one in signatures]}


def _libraries() -> dict[str, str]:
    found = {"python": python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _prune(target: Target) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Removes old versions; returns those removed, or a note if that failed, because the export has succeeded."""
    try:
        return prune(target.out, target.keep) if target.keep else (), ()
    except PublishError as error:
        return (), (f"Old versions are still there. {error.message}",)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
