"""The story of an export: open the source, sign it, write it, look at what was written, publish it.

Nothing is visible under the model's folder before the last step; whatever fails before leaves nothing behind.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tfx_export.exporting import signatures, writer
from tfx_export.exporting.graph import SourceGraph
from tfx_export.exporting.target import Exported, Report, Target
from tfx_export.savedmodel.publish import publish, staging
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE


def export(
    open_source: Callable[[], SourceGraph],
    target: Target,
    *,
    input_names: Mapping[str, str] | None = None,
    output_names: Mapping[str, str] | None = None,
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
        # Here, with `staged` whole and the source still open: verify, warm up, accelerate.
        report("Publishing")
        size = _size(staged)
        weights = _size(staged / "variables")
        path = publish(staged, target.version, overwrite=target.overwrite)
    return Exported(path, source.description, signed, size, weights, time.monotonic() - started, source.notes)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
