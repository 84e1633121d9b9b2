"""The story of an export: open the source, sign it, write it, look at what was written, publish it.

Nothing is visible under the model's folder before the last step; whatever fails before leaves nothing behind.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx_export.exporting import signatures, writer
from tfx_export.exporting.extras import Extras, finish
from tfx_export.exporting.graph import Arrays, SourceGraph
from tfx_export.exporting.target import Exported, Report, Target
from tfx_export.savedmodel.publish import publish, staging
from tfx_export.savedmodel.record import Source
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature


def export(
    open_source: Callable[[], SourceGraph],
    target: Target,
    *,
    input_names: Mapping[str, str] | None = None,
    output_names: Mapping[str, str] | None = None,
    extras: Extras,
    source_file: Source | None = None,
    report: Report,
) -> Exported:
    """Export what `open_source` opens. Raises a TfxExportError, and then nothing was published."""
    started = time.monotonic()
    target.check()
    report("Loading the model")
    with open_source().renamed(input_names or {}, output_names or {}) as source, staging(target.out) as staged:
        report("Building the signatures")
        signed = (signatures.predict(source, DEFAULT_SIGNATURE),)
        report("Writing the SavedModel")
        writer.write(source, signed, staged, tags=("serve",))
        record = finish(
            staged, extras, asking(source), tags=("serve",), source=source_file, spec=_spec(signed), report=report
        )
        report("Publishing")
        size = _size(staged)
        weights = _size(staged / "variables")
        path = publish(staged, target.version, overwrite=target.overwrite)
    return Exported(path, source.description, signed, size, weights, time.monotonic() - started, source.notes, record)


def asking(source: SourceGraph) -> Callable[[str, Arrays], Arrays]:
    """The source's own answers to a signature's inputs, for verification."""
    return lambda signature, inputs: source.reference(inputs)


def _spec(signed: Sequence[Signature]) -> dict[str, Any]:
    return {signature.name: {"method": signature.method} for signature in signed}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
