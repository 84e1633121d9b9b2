"""The export functions of the Python API. They import TensorFlow when called, after the input has been looked at."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tfx_export.errors import SpecError
from tfx_export.exporting.extras import DEFAULT_EXTRAS, Extras
from tfx_export.exporting.files import require_file
from tfx_export.exporting.sources.keras_file import KerasFile, inspect_keras_file
from tfx_export.exporting.sources.keras_options import DEFAULT_OPTIONS, KerasOptions
from tfx_export.exporting.sources.object_reference import find
from tfx_export.exporting.sources.session_file import inspect_session_file
from tfx_export.exporting.spec.from_yaml import read_spec
from tfx_export.exporting.spec.model import ExportSpec
from tfx_export.exporting.target import Exported, Report, Target
from tfx_export.savedmodel.export_record import Source, Verification, sha256
from tfx_export.savedmodel.reader import find_meta_graph, read_index, read_signatures, saved_model_file
from tfx_export.savedmodel.version_folders import NEXT
from tfx_export.tensorflow_import import import_tensorflow


@dataclass(frozen=True)
class _Job:
    """One export: what, where to, with what beyond it; `started` is when it was asked for."""

    spec: ExportSpec
    target: Target
    extras: Extras
    report: Report
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def started_tensorflow(self) -> Iterator[Callable[[Callable[[], Any], Source | None], Exported]]:
        """Import it, once all that can be refused without it has been looked at; gives what then does the export."""
        for signature in self.spec.signatures:
            if signature.labels:
                require_file("labels", signature.labels)
        for asset in self.spec.assets:
            require_file("assets", asset)
        self.target.check()
        self.extras.check()
        self.report("Starting TensorFlow")
        from tfx_export.exporting.verification.isolated_run import replayer

        # The process that verifies imports TensorFlow at the same time as this one.
        with replayer() if self.extras.verify else nullcontext() as worker:
            import_tensorflow()
            from tfx_export.exporting import pipeline

            def export(open_source: Callable[[], Any], origin: Source | None) -> Exported:
                return pipeline.export(
                    open_source,
                    self.spec,
                    self.target,
                    extras=self.extras,
                    source_file=origin,
                    report=self.report,
                    started=self.started,
                    worker=worker,
                )

            yield export


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
    job = _Job(what, Target(Path(out), version, overwrite, keep), extras, report)
    file = inspect_keras_file(Path(model), options) if isinstance(model, str | Path) else None
    with job.started_tensorflow() as export:
        from tfx_export.exporting.sources import keras

        return export(
            lambda: keras.open_file(file) if file else keras.open_model(model), _origin(file) if file else None
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
    job = _Job(_spec(spec), Target(Path(out), version, overwrite, keep), extras, report)
    file = inspect_session_file(Path(session)) if isinstance(session, str | Path) else None
    with job.started_tensorflow() as export:
        from tfx_export.exporting.sources import session as source
        from tfx_export.exporting.sources.candidates import require_selection
        from tfx_export.exporting.sources.session import TensorSelection

        opened: Any = source.load(file, clear_devices=job.spec.clear_devices) if file else session
        selection = TensorSelection(inputs, outputs, bind or {})
        require_selection(opened.graph, selection, file.path if file else None, Path(out))
        return export(
            lambda: source.open_session(
                opened,
                selection,
                clear_devices=job.spec.clear_devices,
                description=file.description if file else "TensorFlow session",
            ),
            Source("session", file.path.name, sha256(file.path)) if file else None,
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
    job = _Job(_spec(spec), Target(Path(out), version, overwrite, keep), extras, report)
    find_meta_graph(read_index(Path(folder)), source_tags)
    with job.started_tensorflow() as export:
        from tfx_export.exporting.sources import savedmodel
        from tfx_export.exporting.sources.session import TensorSelection

        selection = TensorSelection(inputs or {}, outputs or {}, bind or {})
        file = saved_model_file(Path(folder))
        return export(
            lambda: savedmodel.open_folder(
                Path(folder),
                tags=source_tags,
                signature=signature,
                selection=selection,
                clear_devices=job.spec.clear_devices,
            ),
            Source("savedmodel", file.name, sha256(file)),
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
    job = _Job(_spec(spec), Target(Path(out), version, overwrite, keep), extras, report)
    with job.started_tensorflow() as export:
        from tfx_export.exporting.sources import function as source

        found, name = (find(function), function) if isinstance(function, str) else (function, "function")
        return export(lambda: source.open_function(found, inputs=inputs, description=name), None)


def verify(
    folder: str | Path,
    source: str | Path | Any,
    *,
    tags: Sequence[str] = ("serve",),
    probe: str | Path | None = None,
    tolerance: float | None = None,
    options: KerasOptions = DEFAULT_OPTIONS,
    spec: ExportSpec | str | Path | None = None,
) -> Verification:
    """Compare the SavedModel in `folder` with `source`, as every export does before it publishes.

    The SavedModel is loaded in a fresh process by the Session loader, and both are asked with the arrays of the .npz
    file `probe`, or generated ones. `source` is the folder of another SavedModel, a Keras file or model (with the
    `options` and `spec` it was exported with), or a function of a signature's name and its inputs, arrays by alias,
    that returns its outputs, arrays by alias. Signatures that a model or folder given as source lacks are left out.
    `tolerance` is the relative error allowed in floats; by default it goes by dtype (1e-4 for float32).

    Returns a check for every output: equal, or unproven where no probe changed it or fits. Raises VerificationError
    naming each output that differs, SavedModelError and SourceError for what cannot be read, SpecError if the probe
    does not fit or no signature is in both.
    """
    folder, what = Path(folder), _spec(spec)
    find_meta_graph(read_index(folder), tags)
    extras = Extras(probe=Path(probe) if probe else None)
    extras.check()
    if isinstance(source, str | Path):
        source = Path(source)
        source = source if source.is_dir() else inspect_keras_file(source, options)
    import_tensorflow()
    from tfx_export.exporting.verification import verify as steps

    found = steps.callable_signatures(folder, tags)
    with _answering(source, what, tags) as (ask, known):
        shared = {name: signature for name, signature in found.items() if known is None or name in known}
        if not shared:
            raise SpecError(
                f"No signature of {folder} is one of its source.",
                hint=f"Signatures there: {', '.join(found)}; of the source: {', '.join(known or ())}",
            )
        asked = steps.ask_source(folder, shared, ask, tags=tags, probe=extras.probe)
    return steps.verify(folder, asked, shared, tags=tags, tolerance=tolerance)


@contextmanager
def _answering(source: Any, spec: ExportSpec, tags: Sequence[str]) -> Iterator[tuple[Any, Collection[str] | None]]:
    """What answers for the source of `verify`, and which signatures it knows (None: all)."""
    from tfx_export.exporting import signatures
    from tfx_export.exporting.sources import keras
    from tfx_export.exporting.verification.loaded_model import SessionModel

    if isinstance(source, Path):
        known = read_signatures(source, tags)
        with SessionModel(source, tags) as model:
            yield model.ask, known
    elif isinstance(source, KerasFile) or hasattr(source, "get_config"):
        opened = keras.open_file(source) if isinstance(source, KerasFile) else keras.open_model(source)
        with opened.renamed(spec.input_names, spec.output_names) as graph:
            signed = signatures.sign(graph, spec)
            yield signatures.asker(signed), [one.signature.name for one in signed]
    else:
        yield source, None


def describe_keras(
    model: str | Path | Any, *, options: KerasOptions = DEFAULT_OPTIONS, report: Report = lambda step: None
) -> str:
    """The text of a spec file for a Keras model, filled in and commented. Raises SourceError."""
    file = inspect_keras_file(Path(model), options) if isinstance(model, str | Path) else None
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting.sources import keras
    from tfx_export.exporting.spec.draft import draft_spec

    report("Loading the model")
    with keras.open_file(file) if file else keras.open_model(model) as source:
        return draft_spec(source)


def _origin(file: KerasFile) -> Source:
    content = file.path / "saved_model.pb" if file.container == "savedmodel" else file.path
    return Source("keras", file.path.name, sha256(content))


def _spec(
    spec: ExportSpec | str | Path | None,
    input_names: Mapping[str, str] = MappingProxyType({}),
    output_names: Mapping[str, str] = MappingProxyType({}),
) -> ExportSpec:
    read = read_spec(Path(spec)) if isinstance(spec, str | Path) else spec or ExportSpec()
    return replace(
        read,
        input_names={**read.input_names, **input_names},
        output_names={**read.output_names, **output_names},
    )
