"""The export functions of the Python API. They import TensorFlow when called, after the input has been looked at."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfx_export.exporting.extras import DEFAULT_EXTRAS, Extras
from tfx_export.exporting.keras_file import inspect_keras_file
from tfx_export.exporting.quiet import import_tensorflow
from tfx_export.exporting.spec import ExportSpec
from tfx_export.exporting.spec_file import read_spec
from tfx_export.exporting.target import Exported, Report, Target
from tfx_export.savedmodel.record import Source, sha256
from tfx_export.savedmodel.versions import NEXT


def export_keras(
    model: str | Path | Any,
    out: str | Path,
    *,
    spec: ExportSpec | str | Path | None = None,
    version: str | int = NEXT,
    overwrite: bool = False,
    keep: int | None = None,
    input_names: Mapping[str, str] | None = None,
    output_names: Mapping[str, str] | None = None,
    extras: Extras = DEFAULT_EXTRAS,
    report: Report = lambda step: None,
) -> Exported:
    """Export a Keras model as a version of the served model whose folder is `out`.

    `model` is a `.keras` or `.h5` file of Keras 3, 2 or 1, or a model object of Keras 3 or tf_keras.
    `spec` says what to write (an ExportSpec, or the path of a YAML file; one Predict signature if None);
    `input_names` and `output_names` rename the model's own (`{old: new}`).
    `version` is a number, `next` or `timestamp`; `keep` is how many versions stay.
    `extras` says how the export is verified; `report` is told each step in a few words.

    Raises SourceError (no model), SpecError (names, shapes, rules of serving), VersionError (version exists),
    PublishError (file system), VerificationError (the export computes something else). Nothing is published then.
    """
    what = _spec(spec, input_names or {}, output_names or {})
    target = Target(Path(out), version, overwrite, keep)
    file = inspect_keras_file(Path(model)) if isinstance(model, str | Path) else None
    target.check()
    extras.check()
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting import keras, pipeline

    return pipeline.export(
        lambda: keras.open_file(file) if file else keras.open_model(model),
        what,
        target,
        extras=extras,
        source_file=Source("keras", file.path.name, sha256(file.path)) if file else None,
        report=report,
    )


def describe_keras(model: str | Path | Any, *, report: Report = lambda step: None) -> str:
    """The text of a spec file for a Keras model, filled in and commented. Raises SourceError."""
    file = inspect_keras_file(Path(model)) if isinstance(model, str | Path) else None
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting import keras
    from tfx_export.exporting.draft import draft_spec

    report("Loading the model")
    with keras.open_file(file) if file else keras.open_model(model) as source:
        return draft_spec(source)


def _spec(
    spec: ExportSpec | str | Path | None, input_names: Mapping[str, str], output_names: Mapping[str, str]
) -> ExportSpec:
    read = read_spec(Path(spec)) if isinstance(spec, str | Path) else spec or ExportSpec()
    return replace(
        read,
        input_names={**read.input_names, **input_names},
        output_names={**read.output_names, **output_names},
    )
