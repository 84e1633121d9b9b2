"""The story of an export: open the source, sign it, write it, look at what was written, publish it.

Nothing is visible under the model's folder before the last step; whatever fails before leaves nothing behind.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from tfx_export.errors import PublishError
from tfx_export.exporting import accelerate, signatures, warmup, write_savedmodel
from tfx_export.exporting.extras import Extras
from tfx_export.exporting.source_graph import SourceGraph
from tfx_export.exporting.spec.model import ExportSpec, as_plain
from tfx_export.exporting.target import Exported, Report, Target
from tfx_export.exporting.verification import verify
from tfx_export.exporting.verification.loaded_model import SessionModel
from tfx_export.exporting.worker_process import WorkerProcess
from tfx_export.savedmodel import export_record
from tfx_export.savedmodel.export_record import ExportRecord, Source
from tfx_export.savedmodel.publish import prune, publish, staging, translate_os_errors

_LIBRARIES = ("tensorflow", "keras", "tf_keras", "numpy", "ai-edge-litert")


def export(
    open_source: Callable[[], SourceGraph],
    spec: ExportSpec,
    target: Target,
    *,
    extras: Extras,
    source_file: Source | None = None,
    report: Report,
    started: float,
    worker: WorkerProcess | None = None,
) -> Exported:
    """Export what `open_source` opens. Raises a TfxExportError, and then nothing was published.

    `started` is the time.monotonic() at which the user began to wait; `worker`, for verification, is as for `replay`.
    """
    target.check()
    report("Loading the model")
    with open_source().renamed(spec.input_names, spec.output_names) as source, staging(target.out) as staged:
        report("Building the signatures")
        signed = signatures.sign(source, spec)
        written = tuple(one.signature for one in signed)
        report("Writing the SavedModel")
        write_savedmodel.write(source, written, staged, spec)
        asker = signatures.asker(signed)
        plain = as_plain(spec)
        written_record = finish(
            staged, extras, asker, tags=spec.tags, source=source_file, spec=plain, report=report, worker=worker
        )
        report("Publishing")
        size, weights = _size(staged), _size(staged / "variables")
        path = publish(staged, target.version, overwrite=target.overwrite)
    pruned, notes = _prune(target)
    seconds = time.monotonic() - started
    return Exported(
        path, source.description, written, size, weights, seconds, source.notes + notes, written_record, pruned
    )


def finish(
    folder: Path,
    extras: Extras,
    ask: Callable[[str, Any], Any],
    *,
    tags: Sequence[str],
    source: Source | None,
    spec: dict[str, Any],
    report: Callable[[str], None],
    worker: WorkerProcess | None = None,
) -> ExportRecord:
    """Do what `extras` asks for to the SavedModel written into `folder`, and leave the record of it there.

    `ask` gives the source's own answers: `ask(signature, inputs)`, both by the client's names. `worker` verifies.
    Raises VerificationError if the export does not compute what its source computes, SpecError for a file that does
    not fit.
    """
    signatures = verify.callable_signatures(folder, tags)
    verification, accelerated, asked = None, None, {}
    with ExitStack() as stack, translate_os_errors(folder.parent):
        if not extras.verify:  # then the written model itself says what its probes are answered with
            ask = stack.enter_context(SessionModel(folder, tags)).ask if extras.warmup or extras.accelerate else ask
        else:
            report("Verifying in a fresh process")
        if extras.verify or extras.accelerate or (extras.warmup and not extras.warmup_from):
            asked = verify.ask_source(folder, signatures, ask, tags=tags, probe=extras.probe)
        if extras.verify:
            verification = verify.verify(folder, asked, signatures, tags=tags, worker=worker)
        if extras.warmup or extras.warmup_from:
            report("Replaying the warmup requests")
            logs = (
                warmup.read(extras.warmup_from, signatures, extras.warmup)
                if extras.warmup_from
                else warmup.from_probes(asked, signatures, extras.warmup or 0)
            )
            warmup.write(folder, logs, signatures, tags=tags)
        if extras.accelerate:
            report("Converting to LiteRT and comparing")
            accelerated = accelerate.accelerate(
                folder, asked, precision=extras.accelerate, tags=tags, calibrate=extras.probe is not None
            )
        written = ExportRecord(
            tool=version("tfx-export"),
            created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            source=source,
            libraries=_libraries(),
            spec=spec,
            verification=verification,
            accelerated=accelerated,
        )
        export_record.write(folder, written)
    return written


def _libraries() -> dict[str, str]:
    found = {"python": python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _prune(target: Target) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The versions removed, and a note if that failed: the export has succeeded by then."""
    try:
        return prune(target.out, target.keep) if target.keep else (), ()
    except PublishError as error:
        return (), (f"Old versions are still there. {error.message}",)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
