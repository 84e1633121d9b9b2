"""The export functions of the Python API. They import TensorFlow when called, after the input has been looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx_export.exporting.extras import DEFAULT_EXTRAS, Extras
from tfx_export.exporting.keras_file import inspect_keras_file
from tfx_export.exporting.quiet import import_tensorflow
from tfx_export.exporting.target import Exported, Report, Target
from tfx_export.savedmodel.record import Source, sha256
from tfx_export.savedmodel.versions import NEXT


def export_keras(
    model: str | Path | Any,
    out: str | Path,
    *,
    version: str | int = NEXT,
    overwrite: bool = False,
    input_names: Mapping[str, str] | None = None,
    output_names: Mapping[str, str] | None = None,
    extras: Extras = DEFAULT_EXTRAS,
    report: Report = lambda step: None,
) -> Exported:
    """Export a Keras model as a version of the served model whose folder is `out`.

    `model` is a `.keras` or `.h5` file of Keras 3, 2 or 1, or a model object of Keras 3 or tf_keras.
    `version` is a number, `next` or `timestamp`; `input_names` and `output_names` rename (`{old: new}`);
    `extras` says how the export is verified; `report` is told each step in a few words.

    Raises SourceError (no model), SpecError (names), VersionError (version exists), PublishError (file system),
    VerificationError (the export computes something else).
    Nothing is published then.
    """
    target = Target(Path(out), version, overwrite)
    file = inspect_keras_file(Path(model)) if isinstance(model, str | Path) else None
    target.check()
    extras.check()
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting import keras, pipeline

    return pipeline.export(
        lambda: keras.open_file(file) if file else keras.open_model(model),
        target,
        input_names=input_names,
        output_names=output_names,
        extras=extras,
        source_file=Source("keras", file.path.name, sha256(file.path)) if file else None,
        report=report,
    )
