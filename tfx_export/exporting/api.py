"""The export functions of the Python API. They import TensorFlow when called, after the input has been looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfx_export.exporting.extras import DEFAULT_EXTRAS, Extras
from tfx_export.exporting.keras_file import KerasFile, inspect_keras_file
from tfx_export.exporting.keras_options import DEFAULT_OPTIONS, KerasOptions
from tfx_export.exporting.references import find
from tfx_export.exporting.session_file import inspect_session_file
from tfx_export.exporting.spec import ExportSpec
from tfx_export.exporting.spec_file import read_spec
from tfx_export.exporting.target import Exported, Report, Target
from tfx_export.quiet import import_tensorflow
from tfx_export.savedmodel.reader import find_meta_graph, read_index, saved_model_file
from tfx_export.savedmodel.record import Source, sha256
from tfx_export.savedmodel.versions import NEXT


def export_keras(
    model: str | Path | Any,
    out: str | Path,
    *,
    options: KerasOptions = DEFAULT_OPTIONS,
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

    `model` is a `.keras` or `.h5` file of Keras 3, 2 or 1, a SavedModel of Keras 2, a file of weights (with
    `options.architecture`), or a model object of Keras 3 or tf_keras. `options` say what the file does not: classes
    of your own, layers to replace.
    `spec` says what to write (an ExportSpec, or the path of a YAML file; one Predict signature if None);
    `input_names` and `output_names` rename the model's own (`{old: new}`).
    `version` is a number, `next` or `timestamp`; `keep` is how many versions stay.
    `extras` says how the export is verified; `report` is told each step in a few words.

    Raises SourceError (no model), SpecError (names, shapes, rules of serving), VersionError (version exists),
    PublishError (file system), VerificationError (the export computes something else). Nothing is published then.
    """
    what = _spec(spec, input_names or {}, output_names or {})
    target = Target(Path(out), version, overwrite, keep)
    file = inspect_keras_file(Path(model), options) if isinstance(model, str | Path) else None
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
        source_file=_origin(file) if file else None,
        report=report,
    )


def export_session(
    session: str | Path | Any,
    out: str | Path,
    *,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    bind: Mapping[str, Any] | None = None,
    spec: ExportSpec | str | Path | None = None,
    version: str | int = NEXT,
    overwrite: bool = False,
    keep: int | None = None,
    extras: Extras = DEFAULT_EXTRAS,
    report: Report = lambda step: None,
) -> Exported:
    """Export a TF1 graph with its values: a checkpoint with its .meta file, a frozen graph, a live session.

    `session` is a path (a .meta file, a checkpoint's prefix or folder, a .pb or .pbtxt) or a `tf.compat.v1.Session`.
    `inputs` and `outputs` map the names clients use to tensors (`x:0`); `bind` fixes tensors to values (`keep_prob:0`).
    With neither inputs nor outputs it raises a SpecError that lists the likely ones. The rest, and what is raised, is
    as for `export_keras`.
    """
    what, target = _spec(spec, {}, {}), Target(Path(out), version, overwrite, keep)
    file = inspect_session_file(Path(session)) if isinstance(session, str | Path) else None
    target.check()
    extras.check()
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting import pipeline
    from tfx_export.exporting import session as source
    from tfx_export.exporting.candidates import require_ends
    from tfx_export.exporting.ends import Ends

    opened: Any = source.load(file) if file else session
    ends = Ends(inputs, outputs, bind or {})
    require_ends(opened.graph, ends, file.path if file else None, Path(out))
    return pipeline.export(
        lambda: source.open_session(opened, ends, description=file.description if file else "TensorFlow session"),
        what,
        target,
        extras=extras,
        source_file=Source("session", file.path.name, sha256(file.path)) if file else None,
        report=report,
    )


def export_savedmodel(
    folder: str | Path,
    out: str | Path,
    *,
    signature: str | None = None,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    bind: Mapping[str, Any] | None = None,
    source_tags: Sequence[str] = ("serve",),
    spec: ExportSpec | str | Path | None = None,
    version: str | int = NEXT,
    overwrite: bool = False,
    keep: int | None = None,
    extras: Extras = DEFAULT_EXTRAS,
    report: Report = lambda step: None,
) -> Exported:
    """Export the SavedModel in `folder` again, with other signatures; variables, tables and assets come along.

    The graph is entered and left where its `signature` is (by default serving_default, or the first), or at the tensors
    of `inputs` and `outputs`. The rest, and what is raised, is as for `export_session`; SavedModelError where `folder`
    holds no SavedModel with the tags `source_tags`.
    """
    what, target = _spec(spec, {}, {}), Target(Path(out), version, overwrite, keep)
    find_meta_graph(read_index(Path(folder)), source_tags)
    target.check()
    extras.check()
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting import pipeline, savedmodel
    from tfx_export.exporting.ends import Ends

    ends = Ends(inputs or {}, outputs or {}, bind or {})
    file = saved_model_file(Path(folder))
    return pipeline.export(
        lambda: savedmodel.open_folder(Path(folder), tags=source_tags, signature=signature, ends=ends),
        what,
        target,
        extras=extras,
        source_file=Source("savedmodel", file.name, sha256(file)),
        report=report,
    )


def export_function(
    function: str | Any,
    out: str | Path,
    *,
    inputs: Mapping[str, Any] | None = None,
    spec: ExportSpec | str | Path | None = None,
    version: str | int = NEXT,
    overwrite: bool = False,
    keep: int | None = None,
    extras: Extras = DEFAULT_EXTRAS,
    report: Report = lambda step: None,
) -> Exported:
    """Export a tf.function, a tf.Module or a callable, given itself or as `module:attribute`.

    `inputs` says what it takes (`tf.TensorSpec` by argument name) where it has no input_signature. The rest, and what
    is raised, is as for `export_keras`.
    """
    what, target = _spec(spec, {}, {}), Target(Path(out), version, overwrite, keep)
    target.check()
    extras.check()
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting import function as source
    from tfx_export.exporting import pipeline

    found, name = (find(function), function) if isinstance(function, str) else (function, "function")
    return pipeline.export(
        lambda: source.open_function(found, inputs=inputs, description=name),
        what,
        target,
        extras=extras,
        report=report,
    )


def describe_keras(
    model: str | Path | Any, *, options: KerasOptions = DEFAULT_OPTIONS, report: Report = lambda step: None
) -> str:
    """The text of a spec file for a Keras model, filled in and commented. Raises SourceError."""
    file = inspect_keras_file(Path(model), options) if isinstance(model, str | Path) else None
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting import keras
    from tfx_export.exporting.draft import draft_spec

    report("Loading the model")
    with keras.open_file(file) if file else keras.open_model(model) as source:
        return draft_spec(source)


def _origin(file: KerasFile) -> Source:
    content = file.path / "saved_model.pb" if file.container == "savedmodel" else file.path
    return Source("keras", file.path.name, sha256(content))


def _spec(
    spec: ExportSpec | str | Path | None, input_names: Mapping[str, str], output_names: Mapping[str, str]
) -> ExportSpec:
    read = read_spec(Path(spec)) if isinstance(spec, str | Path) else spec or ExportSpec()
    return replace(
        read,
        input_names={**read.input_names, **input_names},
        output_names={**read.output_names, **output_names},
    )
