"""The sessions of a TensorFlow model: those of a prepared graph, or the one of a SavedModel as it is."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.saved_model import loader_impl

from serve.config import Config
from serve.engines.preparation import Outcome, contents as prepared_contents
from serve.engines.preparation.contents import Contents
from serve.engines.tensorflow_graph import check_functions, is_straight, shape_graph
from serve.engines.tensorflow_guards import guard_everything, guard_optimised
from serve.engines.tensorflow_settings import session_config
from serve.engines.tensorflow_weights import MappedWeight, initialise, map_pages
from serve.errors import Code, ServeError
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.reader import is_saved_model, read_index

logger = logging.getLogger("serve")

# A program up to this size is held twice, the second time for runs on a single thread.
MAX_DUPLICATED_BYTES = 32 << 20


@dataclass(frozen=True)
class Sessions:
    """The sessions of a model: one on all threads, and one on the calling thread if the model is small."""

    signatures: Any
    session: Any
    single_threaded: Any | None
    shape_graph: Any
    mapped_bytes: int = 0
    # Why the SavedModel runs as it is; empty if it is prepared.
    reason: str = ""


def open_saved_model(path: Path, config: Config, settings: Any, *, guarded: bool) -> tuple[Any, Any]:
    """Loads the SavedModel into a new session: imports the graph, restores variables, initialises tables."""
    graph = tf.Graph()
    with graph.as_default():
        session = tf.compat.v1.Session(graph=graph, config=settings)
        tags = [tag for tag in config.saved_model_tags.split(",") if tag]
        return session, _Loader(path, guarded).load(session, tags)


class _Loader(loader_impl.SavedModelLoader):  # type: ignore[misc]
    """Checks the graph of a SavedModel before it is imported, and adds guards to one that runs as it is."""

    def __init__(self, path: Path, guarded: bool) -> None:
        """Raises NOT_FOUND if `path` holds no SavedModel, DATA_LOSS if its file is damaged."""
        try:
            read_index(path)
        except SavedModelError as error:
            code = Code.DATA_LOSS if is_saved_model(path) else Code.NOT_FOUND
            raise ServeError(code, " ".join(str(error).split("\n"))) from None
        super().__init__(str(path))
        self._guarded = guarded

    def get_meta_graph_def_from_tags(self, tags: Iterable[str]) -> Any:
        meta_graph = super().get_meta_graph_def_from_tags(tags)
        check_functions(meta_graph.graph_def)
        if self._guarded:
            guard_everything(meta_graph.graph_def)
        return meta_graph


def open_unoptimised(path: Path, config: Config) -> tuple[Any, Any]:
    """Loads the SavedModel into a session that does not optimise its graph."""
    settings = session_config(config)
    settings.graph_options.rewrite_options.disable_meta_optimizer = True
    return open_saved_model(path, config, settings, guarded=True)


def signatures_only(meta_graph: Any) -> Any:
    """A MetaGraphDef with nothing but the signatures of `meta_graph`."""
    signatures = tf.compat.v1.MetaGraphDef()
    for name, signature in meta_graph.signature_def.items():
        signatures.signature_def[name].CopyFrom(signature)
    return signatures


def guarded(graph_def: Any) -> Any:
    """Adds guards to an optimised graph. Raises ValueError for an invalid graph."""
    guard_optimised(graph_def, _graph_of(graph_def))
    return graph_def


def start(path: Path, config: Config, prepared: Outcome) -> Sessions:
    """Starts the sessions of the SavedModel in `path`: prepared if it can be, otherwise as it is."""
    settings = session_config(config)
    if prepared.entry:
        try:
            contents = prepared_contents.read(prepared.entry)
            if not contents.reason:
                return _start_prepared(prepared.entry.folder, contents, settings)
            return _start_as_it_is(path, config, settings, contents)
        except (OSError, tf.errors.OpError) as error:
            # Another process has removed the entry, or the file system of --prepared_dir cannot map files.
            prepared = Outcome(None, f"its prepared version cannot be used: {error}")
    return _start_unprepared(path, config, prepared.reason)


def _start_prepared(folder: Path, contents: Contents, settings: Any) -> Sessions:
    """The sessions of a prepared graph; its weights are mapped from files."""
    graph_def = tf.compat.v1.GraphDef.FromString(contents.graph)
    weights = [MappedWeight(**weight) for weight in contents.weights]
    # First, because TensorFlow's threads are those of the first session.
    session = _session_of(_graph_of(graph_def), contents.init_ops, settings, folder, weights)
    if weights:
        map_pages(folder)
    single_threaded = None
    # The session of a larger program, of one with large weights, or with a number of threads that the operator has set.
    if not weights and graph_def.ByteSize() <= MAX_DUPLICATED_BYTES and not settings.intra_op_parallelism_threads:
        one_thread = config_pb2.ConfigProto()
        one_thread.CopyFrom(settings)
        one_thread.intra_op_parallelism_threads = 1
        if is_straight(graph_def):
            # Runs one operator after another, without the bookkeeping for parallel operators.
            one_thread.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"
        single_threaded = _session_of(_graph_of(graph_def), contents.init_ops, one_thread)
    signatures = tf.compat.v1.MetaGraphDef.FromString(contents.signatures)
    mapped = sum((folder / weight.file).stat().st_size for weight in weights)
    return Sessions(signatures, session, single_threaded, shape_graph(graph_def), mapped)


def _start_as_it_is(path: Path, config: Config, settings: Any, contents: Contents) -> Sessions:
    """The session of a SavedModel that cannot be frozen: it assigns to variables, for example."""
    logger.info("%s runs as it is, not frozen: %s", path.name, contents.reason)
    session, meta_graph = open_saved_model(path, config, settings, guarded=True)
    graph_def = tf.compat.v1.GraphDef.FromString(contents.graph)
    return Sessions(signatures_only(meta_graph), session, None, graph_def, reason=contents.reason)


def _start_unprepared(path: Path, config: Config, reason: str) -> Sessions:
    """The session of a SavedModel whose preparation failed: without any optimisation, which may have been the cause."""
    logger.warning("%s is served as it is, which is slower: %s", path, reason)
    session, meta_graph = open_unoptimised(path, config)
    graph_def = shape_graph(session.graph.as_graph_def())
    return Sessions(signatures_only(meta_graph), session, None, graph_def, reason=reason)


def _session_of(
    graph: Any, init_ops: Sequence[str], settings: Any, folder: Path = Path(), weights: Sequence[MappedWeight] = ()
) -> Any:
    final = config_pb2.ConfigProto()
    final.CopyFrom(settings)
    # The graph is already optimised.
    final.graph_options.rewrite_options.disable_meta_optimizer = True
    if weights:
        # Constant folding, which the preparation has done, would read and copy every file.
        final.graph_options.optimizer_options.opt_level = config_pb2.OptimizerOptions.L0
    session = tf.compat.v1.Session(graph=graph, config=final)
    initialise(session, folder, weights)
    if init_ops:
        session.run([graph.get_operation_by_name(name) for name in init_ops])
    return session


def _graph_of(graph_def: Any) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    return graph
