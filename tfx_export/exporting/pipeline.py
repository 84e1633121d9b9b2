"""The story of an export: open the source, sign it, write it, look at what was written, publish it.

Nothing is visible under the model's folder before the last step; whatever fails before leaves nothing behind.
"""

import time
from collections.abc import Callable
from pathlib import Path

from tfx_export.errors import PublishError
from tfx_export.exporting import signatures, write_savedmodel
from tfx_export.exporting.extras import Extras, finish
from tfx_export.exporting.source_graph import SourceGraph
from tfx_export.exporting.spec.model import ExportSpec, as_plain
from tfx_export.exporting.target import Exported, Report, Target
from tfx_export.exporting.worker_process import WorkerProcess
from tfx_export.savedmodel.export_record import Source
from tfx_export.savedmodel.publish import prune, publish, staging


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
        record = finish(
            staged, extras, asker, tags=spec.tags, source=source_file, spec=plain, report=report, worker=worker
        )
        report("Publishing")
        size, weights = _size(staged), _size(staged / "variables")
        path = publish(staged, target.version, overwrite=target.overwrite)
    pruned, notes = _prune(target)
    seconds = time.monotonic() - started
    return Exported(path, source.description, written, size, weights, seconds, source.notes + notes, record, pruned)


def _prune(target: Target) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The versions removed, and a note if that failed: the export has succeeded by then."""
    try:
        return prune(target.out, target.keep) if target.keep else (), ()
    except PublishError as error:
        return (), (f"Old versions are still there. {error.message}",)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
