"""The TensorFlow engine: runs a SavedModel in sessions, as it was prepared by a child process or as it is.

Import it through serve.engines.tensorflow_setup, which prepares the process.
"""

import ctypes
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.saved_model import loader_impl

from serve.config import Config
from serve.engines import tensorflow_profiler
from serve.engines.preparation import Outcome, contents as prepared_contents
from serve.engines.preparation.contents import Contents
from serve.engines.tensorflow_calls import Call, compile_calls, make_call, signatures_of, zeros
from serve.engines.tensorflow_graph import check_functions, is_straight, shape_graph
from serve.engines.tensorflow_guards import guard_everything, guard_optimised
from serve.engines.tensorflow_ranks import RankGuard
from serve.engines.tensorflow_weights import MappedWeight, initialise, map_pages
from serve.errors import Code, ServeError
from serve.execution.dedicated_threads import DedicatedThreads
from serve.execution.thread_count import ThreadCountPolicy
from serve.loaded_model import Preparation
from tfx_export.savedmodel.dtypes import from_numpy, type_string
from tfx_export.savedmodel.signature import Signature

logger = logging.getLogger("serve")

# A program up to this size is held twice, the second time for runs on a single thread.
MAX_DUPLICATED_BYTES = 32 << 20
# At most 256 compiled calls per model, because clients choose the output filter.
MAX_CALLS = 256
# At most 4,096 combinations of dtypes and ranks per model, because clients choose them.
MAX_REMEMBERED = 4096

# Signature name, output names, and whether the run uses a single thread.
_Key = tuple[str, tuple[str, ...], bool]


def load(path: Path, config: Config, prepared: Outcome) -> "TensorFlowModel":
    """Loads the SavedModel in `path`, prepared or as it is. Raises ServeError with TensorFlow's code and text."""
    with loading_errors():
        _load_custom_ops(config)
        model = TensorFlowModel(path, config, prepared)
    _return_memory()
    return model


@contextmanager
def loading_errors() -> Iterator[None]:
    """Raises a ServeError for each error by which TensorFlow refuses a SavedModel."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ServeError(Code(error.error_code), error.message + _hint(error.message)) from None
    except OSError as error:
        raise ServeError(Code.NOT_FOUND, str(error)) from None
    except (RuntimeError, ValueError) as error:
        raise ServeError(Code.INVALID_ARGUMENT, str(error)) from None
    except ServeError:
        raise
    except Exception as error:  # any exception: TensorFlow's loader assumes a valid SavedModel
        raise ServeError(Code.INVALID_ARGUMENT, f"{type(error).__name__}: {error}") from None


def check_settings(config: Config) -> None:
    """Raises INVALID_ARGUMENT for an invalid ConfigProto, NOT_FOUND for custom operators that cannot be loaded."""
    session_config(config)
    _load_custom_ops(config)


@dataclass(frozen=True)
class _Started:
    """The sessions of a model: one on all threads, and one on the calling thread if the model is small."""

    signatures: Any
    session: Any
    single_threaded: Any | None
    shape_graph: Any
    mapped_bytes: int = 0
    # Why the SavedModel runs as it is; empty if it is prepared.
    reason: str = ""


class TensorFlowModel:
    """One SavedModel in memory: its sessions, and a compiled call for each signature and output filter."""

    engine = "tensorflow"

    def __init__(self, path: Path, config: Config, prepared: Outcome) -> None:
        started = _start(path, config, prepared)
        self.signatures: Mapping[str, Signature] = signatures_of(started.signatures, started.session.graph)
        self.mapped_bytes = started.mapped_bytes
        self.preparation = Preparation(prepared.seconds, started.reason)
        self._session = started.session
        self._single_threaded = started.single_threaded
        cores = max(1, (os.cpu_count() or 1) // config.workers)
        self._thread_count = ThreadCountPolicy(cores)
        # oneDNN remembers per thread how to compute an operator for a shape, and on how many threads: a thread that
        # has computed alone would not hand parts to other threads later.
        self._dedicated_threads = DedicatedThreads(cores, "intra-op")
        self._ranks = RankGuard(started.shape_graph, started.session.graph)
        self._aliases = {name: tuple(signature.inputs) for name, signature in self.signatures.items()}
        # Signatures with the outputs, and the dtypes and ranks of inputs, that passed `_check`.
        self._checked: set[tuple[Any, ...]] = set()
        self._calls: dict[_Key, Call] = {}
        self._lock = threading.Lock()

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        arrays = [*map(inputs.__getitem__, self._aliases[signature])]
        kinds: list[Any] = [signature, *outputs]
        elements = 0
        for array in arrays:
            kinds += array.dtype, array.ndim
            elements += array.size
        kind = tuple(kinds)
        if kind not in self._checked:
            self._check(signature, arrays, outputs)
            if len(self._checked) >= MAX_REMEMBERED:
                self._checked.clear()
            self._checked.add(kind)
        single_threaded = (
            self._single_threaded is not None
            # The single-threaded executor does not name operators in a trace,
            and not tensorflow_profiler.tracing.locked()
            and self._thread_count.uses_one_thread(signature, elements)
        )
        key = signature, tuple(outputs), single_threaded
        try:
            return self._compute(key, arrays, elements)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            if not single_threaded:
                raise _serve_error(error) from None
        # nor in an error: the other executor says which operator failed.
        try:
            return self._compute((signature, tuple(outputs), False), arrays, elements)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise _serve_error(error) from None

    def try_out(self, runnable: Callable[[Signature, Any], bool]) -> None:
        """Compiles every signature, and runs once those that are `runnable`, a function of the signature and the graph.

        The inputs are zeros. Errors do not count: the caller wants to know whether the process survives.
        """
        for session in (self._session, self._single_threaded):
            if session is not None:
                compile_calls(session, self.signatures)
        for name, signature in self.signatures.items():
            with suppress(Exception):
                if runnable(signature, self._session.graph):
                    self.run(name, zeros(signature), [*signature.outputs])

    def close(self) -> None:
        self._calls.clear()
        self._dedicated_threads.close()
        self._session.close()
        if self._single_threaded is not None:
            self._single_threaded.close()
        del self._session, self._single_threaded, self._ranks
        _return_memory()

    def _check(self, signature: str, arrays: Sequence[np.ndarray], outputs: Sequence[str]) -> None:
        """Raises INVALID_ARGUMENT for inputs of a wrong dtype or rank, and for tensors that requests cannot hold.

        The session accepts any rank and aborts the process on some; of a wrong dtype it reports only the position.
        """
        specs = self.signatures[signature].inputs
        wanted = {alias: self.signatures[signature].outputs[alias] for alias in outputs}
        for kind, named in (("input", specs), ("output", wanted)):
            for alias, spec in named.items():
                if spec.encoding != "dense":
                    raise ServeError(
                        Code.INVALID_ARGUMENT,
                        f"The {kind} {alias} of signature {signature} is a {spec.encoding} tensor; requests and "
                        f"responses hold dense tensors only",
                    )
                if spec.dtype in ("DT_RESOURCE", "DT_VARIANT"):
                    raise ServeError(
                        Code.INVALID_ARGUMENT,
                        f"The {kind} {alias} of signature {signature} is a {type_string(spec.dtype)}; requests and "
                        f"responses hold numbers and strings only",
                    )
        for position, (array, (alias, spec)) in enumerate(zip(arrays, specs.items(), strict=True)):
            sent = from_numpy(array.dtype)
            if sent != spec.dtype:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"Expects arg[{position}] to be {type_string(spec.dtype)} but {type_string(sent)} is provided "
                    f"(input {alias})",
                )
        self._ranks.check(
            {spec.tensor: array.ndim for array, spec in zip(arrays, specs.values(), strict=True)},
            frozenset(spec.tensor for spec in wanted.values()),
        )

    def _compute(self, key: _Key, arrays: Sequence[np.ndarray], elements: int) -> dict[str, np.ndarray]:
        signature, _, single_threaded = key
        call = self._calls.get(key)
        known = call is not None
        call = call or self._compile(key)
        if self._single_threaded is None:
            return call(arrays)
        function, *arguments = (call, arrays) if single_threaded else (self._dedicated_threads.run, call, arrays)
        # A first run says nothing about how long the next one takes.
        if not known:
            return function(*arguments)
        return self._thread_count.run(signature, elements, function, *arguments, single_threaded=single_threaded)

    def _compile(self, key: _Key) -> Call:
        signature, outputs, single_threaded = key
        with self._lock:
            if len(self._calls) >= MAX_CALLS:
                self._calls.clear()
            session = self._single_threaded if single_threaded else self._session
            call = self._calls[key] = make_call(session, self.signatures[signature], outputs)
            return call


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


def _start(path: Path, config: Config, prepared: Outcome) -> _Started:
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


def _start_prepared(folder: Path, contents: Contents, settings: Any) -> _Started:
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
    return _Started(signatures, session, single_threaded, shape_graph(graph_def), mapped)


def _start_as_it_is(path: Path, config: Config, settings: Any, contents: Contents) -> _Started:
    """The session of a SavedModel that cannot be frozen: it assigns to variables, for example."""
    logger.info("%s runs as it is, not frozen: %s", path.name, contents.reason)
    session, meta_graph = open_saved_model(path, config, settings, guarded=True)
    graph_def = tf.compat.v1.GraphDef.FromString(contents.graph)
    return _Started(signatures_only(meta_graph), session, None, graph_def, reason=contents.reason)


def _start_unprepared(path: Path, config: Config, reason: str) -> _Started:
    """The session of a SavedModel whose preparation failed: without any optimisation, which may have been the cause."""
    logger.warning("%s is served as it is, which is slower: %s", path, reason)
    session, meta_graph = open_unoptimised(path, config)
    graph_def = shape_graph(session.graph.as_graph_def())
    return _Started(signatures_only(meta_graph), session, None, graph_def, reason=reason)


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


def session_config(config: Config) -> Any:
    """The ConfigProto of --tensorflow_session_config_file, overridden by flags.

    By default (inter_op_parallelism_threads -1) TensorFlow runs operators on the calling thread.
    """
    settings = config_pb2.ConfigProto()
    if config.tensorflow_session_config_file:
        file = Path(config.tensorflow_session_config_file)
        try:
            text_format.Parse(file.read_bytes(), settings)
        except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
            raise ServeError(
                Code.INVALID_ARGUMENT, f"Error parsing text-format tensorflow.ConfigProto: {file}: {error}"
            ) from None
    settings.inter_op_parallelism_threads = (
        config.tensorflow_inter_op_parallelism
        or config.tensorflow_session_parallelism
        or settings.inter_op_parallelism_threads
        or -1
    )
    settings.intra_op_parallelism_threads = (
        config.tensorflow_intra_op_parallelism
        or config.tensorflow_session_parallelism
        or settings.intra_op_parallelism_threads
    )
    settings.allow_soft_placement = True
    return settings


def _load_custom_ops(config: Config) -> None:
    for library in config.op_library:
        _load_library(library)
    for module in config.import_module:
        try:
            import_module(module)
        except BaseException as error:  # any exception, also SystemExit: this is the operator's own code
            raise ServeError(Code.INVALID_ARGUMENT, f"--import={module}: {type(error).__name__}: {error}") from None


@cache
def _load_library(path: str) -> None:
    try:
        tf.load_op_library(path)
    except tf.errors.OpError as error:
        raise ServeError(Code.NOT_FOUND, f"--op_library={path}: {error.message}") from None


def _hint(message: str) -> str:
    """The flags to add if an operator is missing; otherwise empty."""
    missing = "not registered" in message
    return " Load the library or module that defines it: --op_library=FILE.so, or --import=MODULE" if missing else ""


def _serve_error(error: Any) -> ServeError:
    if isinstance(error, UnicodeDecodeError):
        # TensorFlow's message quotes an input that is not valid UTF-8. Its code is lost.
        return ServeError(Code.INVALID_ARGUMENT, error.object.decode(errors="replace"))
    return ServeError(Code(error.error_code), error.message)


def _return_memory() -> None:
    """Returns free memory to the system: graphs are reference cycles, and glibc keeps memory that was freed."""
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (AttributeError, OSError):  # a libc other than glibc
            return
