"""The functions of the Python API. Each checks its arguments first and imports TensorFlow only then.

The steps after that are in `pipeline.py`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tfx_export.errors import SpecError
from tfx_export.exporting.job import DEFAULT_EXTRAS, Exported, ExportJob, Extras, Report, Target
from tfx_export.exporting.pipeline import export
from tfx_export.exporting.sources.keras_file import KerasFile, inspect_keras_file
from tfx_export.exporting.sources.keras_options import DEFAULT_OPTIONS, KerasOptions
from tfx_export.exporting.sources.object_reference import import_object
from tfx_export.exporting.sources.session_file import inspect_session_file
from tfx_export.exporting.spec.merge import spec_from_arguments
from tfx_export.exporting.spec.model import ExportSpec
from tfx_export.exporting.user_code import exits_as_errors
from tfx_export.savedmodel.export_record import Source, Verification, sha256
from tfx_export.savedmodel.reader import find_meta_graph, read_index, read_signatures, saved_model_file
from tfx_export.savedmodel.version_folders import NEXT
from tfx_export.tensorflow_import import import_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf

    from tfx_export.exporting.source_graph import SourceGraph
    from tfx_export.exporting.verification.verify import RunSignature


def export_keras(
    model: "str | Path | tf.keras.Model",
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
    """Exports a Keras model as a new version of the served model whose folder is `out`.

    Args:
        model: A `.keras` or `.h5` file of Keras 3, 2 or 1, a SavedModel of Keras 2, a file of weights (with
            `options.architecture`), or a model object of Keras 3 or tf_keras.
        out: The model's folder, which holds one numbered folder per version. It is created if it does not exist.
        options: How to load a file that needs your own classes, or other layers than those it names.
        spec: The signatures to write, as an ExportSpec or the path of a YAML file. None: one Predict signature with
            all inputs and outputs.
        version: A version number, `next` or `timestamp`.
        overwrite: Whether to replace the version if it exists.
        keep: How many versions to keep afterwards, newest first, at least 1. None: all.
        input_names, output_names: New names for the model's inputs and outputs, `{old: new}`.
        extras: How to verify the export, and whether to add warmup requests and a LiteRT model.
        report: Called with a short description of each step when it begins.

    Nothing is published if an error is raised: SourceError if the model cannot be loaded, SpecError if the spec does
    not fit the model or a rule of serving, VersionError if the version exists, PublishError if the file system
    refuses, VerificationError if the export does not compute what the model computes.
    """
    job = ExportJob(
        spec_from_arguments(spec, input_names or {}, output_names or {}),
        Target(Path(out), version, overwrite, keep),
        extras,
        report,
    )
    file = inspect_keras_file(Path(model), options) if isinstance(model, str | Path) else None
    return export(job, lambda: _open_keras(file or model), (lambda: _identify_keras(file)) if file else None)


def export_session(
    session: "str | Path | tf.compat.v1.Session",
    out: str | Path,
    *,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    bind: Mapping[str, object] | None = None,
    spec: ExportSpec | str | Path | None = None,
    version: str | int = NEXT,
    overwrite: bool = False,
    keep: int | None = None,
    extras: Extras = DEFAULT_EXTRAS,
    report: Report = lambda step: None,
) -> Exported:
    """Exports a TF1 graph with its values as a new version of the served model whose folder is `out`.

    Args:
        session: A `.meta` file, a checkpoint's prefix or folder, a frozen graph (`.pb` or `.pbtxt`), or a live
            `tf.compat.v1.Session`.
        inputs, outputs: Tensors of the graph by the names that clients will use: `{"images": "x:0"}`.
        bind: Tensors to fix at a value: `{"keep_prob:0": 1.0}`.
        out, spec, version, overwrite, keep, extras, report: As for `export_keras`.

    Raises the same errors as `export_keras`. If `inputs` or `outputs` is empty, the SpecError lists likely tensors.
    """
    job = ExportJob(spec_from_arguments(spec), Target(Path(out), version, overwrite, keep), extras, report)
    file = inspect_session_file(Path(session)) if isinstance(session, str | Path) else None

    def open_source() -> "SourceGraph":
        from tfx_export.exporting.sources.candidates import require_inputs_and_outputs
        from tfx_export.exporting.sources.session import TensorSelection, load, open_session

        selection = TensorSelection(inputs, outputs, bind or {})
        live: tf.compat.v1.Session = load(file, clear_devices=job.spec.clear_devices) if file else session
        require_inputs_and_outputs(live.graph, selection, file.path if file else None, job.target.out)
        description = file.description if file else "TensorFlow session"
        return open_session(live, selection, clear_devices=job.spec.clear_devices, description=description)

    return export(job, open_source, (lambda: Source("session", file.path.name, sha256(file.path))) if file else None)


def export_savedmodel(
    folder: str | Path,
    out: str | Path,
    *,
    signature: str | Sequence[str] | None = None,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    bind: Mapping[str, object] | None = None,
    source_tags: Sequence[str] = ("serve",),
    spec: ExportSpec | str | Path | None = None,
    version: str | int = NEXT,
    overwrite: bool = False,
    keep: int | None = None,
    extras: Extras = DEFAULT_EXTRAS,
    report: Report = lambda step: None,
) -> Exported:
    """Exports the SavedModel in `folder` again, with its own or other signatures, its variables, tables and assets.

    Args:
        folder: The folder of the SavedModel (a version folder).
        signature: The signatures to keep, one or several names. None: all. If `spec`, `inputs` or `outputs` describe
            other signatures, the one signature to start from. None: `serving_default`, or the first.
        inputs, outputs: Tensors of the graph to use instead, by the names that clients will use: `{"images": "x:0"}`.
        bind: Tensors to fix at a value: `{"keep_prob:0": 1.0}`.
        source_tags: The tags of the graph to export.
        out, spec, version, overwrite, keep, extras, report: As for `export_keras`.

    Raises the same errors as `export_keras`, and SavedModelError if `folder` holds no SavedModel with `source_tags`.
    """
    folder = Path(folder)
    job = ExportJob(spec_from_arguments(spec), Target(Path(out), version, overwrite, keep), extras, report)
    find_meta_graph(read_index(folder), source_tags)
    file = saved_model_file(folder)

    def open_source() -> "SourceGraph":
        from tfx_export.exporting.sources.savedmodel import open_folder
        from tfx_export.exporting.sources.session import TensorSelection

        selection = TensorSelection(inputs or {}, outputs or {}, bind or {})
        return open_folder(
            folder,
            tags=source_tags,
            chosen=[signature] if isinstance(signature, str) else signature or (),
            keep=not job.spec.signatures,
            selection=selection,
            clear_devices=job.spec.clear_devices,
        )

    return export(job, open_source, lambda: Source("savedmodel", file.name, sha256(file)))


def export_function(
    function: str | Callable[..., object],
    out: str | Path,
    *,
    inputs: Mapping[str, object] | None = None,
    spec: ExportSpec | str | Path | None = None,
    version: str | int = NEXT,
    overwrite: bool = False,
    keep: int | None = None,
    extras: Extras = DEFAULT_EXTRAS,
    report: Report = lambda step: None,
) -> Exported:
    """Exports a Python function as a new version of the served model whose folder is `out`.

    Args:
        function: A tf.function, a tf.Module with `__call__`, or a callable; or its name as `module:attribute`.
        inputs: The dtype and shape of each argument (`tf.TensorSpec`), by argument name, for a function that has no
            input_signature: `{"images": tf.TensorSpec([None, 784])}`.
        out, spec, version, overwrite, keep, extras, report: As for `export_keras`.

    Raises the same errors as `export_keras`.
    """
    job = ExportJob(spec_from_arguments(spec), Target(Path(out), version, overwrite, keep), extras, report)

    def open_source() -> "SourceGraph":
        from tfx_export.exporting.sources.function import open_function

        found, name = (import_object(function), function) if isinstance(function, str) else (function, "function")
        return open_function(found, inputs=inputs, description=name)

    return export(job, open_source)


def verify(
    folder: str | Path,
    source: "str | Path | tf.keras.Model | RunSignature",
    *,
    tags: Sequence[str] = ("serve",),
    probe: str | Path | None = None,
    tolerance: float | None = None,
    options: KerasOptions = DEFAULT_OPTIONS,
    spec: ExportSpec | str | Path | None = None,
) -> Verification:
    """Compares the SavedModel in `folder` with `source`, as every export does before it publishes.

    The SavedModel is loaded in a fresh process by the Session loader, and both run on the same inputs. Signatures that
    a source model or folder does not have are left out.

    Args:
        folder: The folder of the SavedModel (a version folder).
        source: The folder of another SavedModel, a Keras file or model object, or a function `f(signature, inputs)`
            that takes the arrays of a signature by alias and returns its outputs by alias.
        tags: The tags of the graph to compare.
        probe: An .npz file of inputs. None: inputs are generated.
        tolerance: The largest error allowed in floats, relative to the largest expected value. None: by dtype (1e-4
            for float32).
        options, spec: The options and the spec with which a Keras source was exported.

    Returns one check per output: `equal`, or `unproven` if the probe did not change the output or the source accepts no
    probe. Raises VerificationError with each output that differs, SavedModelError or SourceError if a model cannot be
    read, SpecError if the probe does not fit or the two have no signature in common.
    """
    folder, export_spec = Path(folder), spec_from_arguments(spec)
    find_meta_graph(read_index(folder), tags)
    extras = Extras(probe=Path(probe) if probe else None)
    extras.check()
    if isinstance(source, str | Path):
        source = Path(source)
        source = source if source.is_dir() else inspect_keras_file(source, options)
    import_tensorflow()
    from tfx_export.exporting.verification import verify as verification

    found = verification.callable_signatures(folder, tags)
    with exits_as_errors(), _source_runner(source, export_spec, tags) as (run_source, known):
        shared = {name: signature for name, signature in found.items() if known is None or name in known}
        if not shared:
            raise SpecError(
                f"{folder} and its source have no signature in common.",
                hint=f"Signatures of the SavedModel: {', '.join(found)}; of the source: {', '.join(known or ())}",
            )
        probed = verification.probe_source(folder, shared, run_source, tags=tags, probe=extras.probe)
    return verification.verify(folder, probed, shared, tags=tags, tolerance=tolerance)


@contextmanager
def _source_runner(
    source: "Path | KerasFile | tf.keras.Model | RunSignature", spec: ExportSpec, tags: Sequence[str]
) -> Iterator[tuple["RunSignature", Collection[str] | None]]:
    """Yields a function that runs the source of `verify`, and the signatures the source has (None: any)."""
    from tfx_export.exporting.signatures.build_signature import build_signatures, source_runner
    from tfx_export.exporting.verification.loaded_model import SessionModel

    if isinstance(source, Path):
        known = read_signatures(source, tags)
        with SessionModel(source, tags) as model:
            yield model.run, known
    elif isinstance(source, KerasFile) or hasattr(source, "get_config"):
        with _open_keras(source).renamed(spec.input_names, spec.output_names) as graph:
            signature_graphs = build_signatures(graph, spec)
            yield source_runner(signature_graphs), [one.signature.name for one in signature_graphs]
    else:
        yield source, None


def describe_keras(
    model: "str | Path | tf.keras.Model", *, options: KerasOptions = DEFAULT_OPTIONS, report: Report = lambda step: None
) -> str:
    """Returns the text of a spec file for a Keras model, filled in and commented.

    `model`, `options` and `report` are as for `export_keras`. Raises SourceError if the model cannot be loaded.
    """
    file = inspect_keras_file(Path(model), options) if isinstance(model, str | Path) else None
    return _describe(lambda: _open_keras(file or model), report)


def describe_session(
    path: str | Path,
    *,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    bind: Mapping[str, object] | None = None,
    report: Report = lambda step: None,
) -> str:
    """Returns the text of a spec file for a TF1 checkpoint or frozen graph, filled in and commented.

    The arguments are as for `export_session`, which raises the same errors.
    """
    file = inspect_session_file(Path(path))

    def open_source() -> "SourceGraph":
        from tfx_export.exporting.sources.candidates import require_inputs_and_outputs
        from tfx_export.exporting.sources.session import TensorSelection, load, open_session

        selection = TensorSelection(inputs, outputs, bind or {})
        session = load(file)
        require_inputs_and_outputs(session.graph, selection, file.path, None)
        return open_session(session, selection, description=file.description)

    return _describe(open_source, report)


def describe_savedmodel(
    folder: str | Path,
    *,
    signature: Sequence[str] = (),
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    bind: Mapping[str, object] | None = None,
    source_tags: Sequence[str] = ("serve",),
    report: Report = lambda step: None,
) -> str:
    """Returns the text of a spec file for one signature of a SavedModel, filled in and commented.

    The arguments are as for `export_savedmodel`, which raises the same errors.
    """
    folder = Path(folder)
    find_meta_graph(read_index(folder), source_tags)

    def open_source() -> "SourceGraph":
        from tfx_export.exporting.sources.savedmodel import open_folder
        from tfx_export.exporting.sources.session import TensorSelection

        selection = TensorSelection(inputs or {}, outputs or {}, bind or {})
        return open_folder(folder, tags=source_tags, chosen=signature, keep=False, selection=selection)

    return _describe(open_source, report)


def _describe(open_source: Callable[[], "SourceGraph"], report: Report) -> str:
    report("Starting TensorFlow")
    import_tensorflow()
    from tfx_export.exporting.spec.draft import draft_spec

    report("Loading the model")
    with exits_as_errors(), open_source() as source:
        return draft_spec(source)


def _open_keras(model: "KerasFile | tf.keras.Model") -> "SourceGraph":
    from tfx_export.exporting.sources import keras

    return keras.open_file(model) if isinstance(model, KerasFile) else keras.open_model(model)


def _identify_keras(file: KerasFile) -> Source:
    content = file.path / "saved_model.pb" if file.container == "savedmodel" else file.path
    return Source("keras", file.path.name, sha256(content))
