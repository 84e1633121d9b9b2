"""The TensorFlow engine: a SavedModel through the Session loader, frozen where nothing assigns to its variables."""

import ctypes
import gc
import logging
import os
import platform
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

from serve.config import Config
from serve.errors import Code, ServeError
from serve.execution.dedicated_threads import DedicatedThreads
from tfx_export.savedmodel.dtypes import from_numpy
from tfx_export.savedmodel.signature import Signature
from tfx_export.tensorflow_import import import_tensorflow, skip_unneeded_packages

# TensorFlow uses oneDNN by itself only where the processor has instructions made for neural networks. On others
# convolutions gain too: MobileNetV2 takes half the time for eight images, ResNet50 three quarters for one image on one
# thread. A run of 40 us becomes 10 us longer.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # Its own allocator never gives back what an unloaded model held.
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
# Without it the first session decides with how many threads those after it compute (common_runtime/local_device.cc).
os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")
# Its own start-up lines belong in nobody's log.
skip_unneeded_packages(keras=False)
import_tensorflow()

import tensorflow as tf  # noqa: E402
from tensorflow.core.protobuf import config_pb2  # noqa: E402

from serve.engines import tensorflow_profiler  # noqa: E402
from serve.engines.tensorflow_graph import Program, is_straight, optimised_program  # noqa: E402
from serve.engines.tensorflow_guards import GuardedLoader, guard_unknown  # noqa: E402
from serve.engines.tensorflow_ranks import RankGuard  # noqa: E402
from serve.execution.thread_count import ThreadCountPolicy  # noqa: E402
from tfx_export import wire  # noqa: E402

# TensorFlow's own objects live as long as the process. Looked through again and again, they would cost every request
# more than its decoding.
gc.collect()
gc.freeze()

logger = logging.getLogger("serve")
tf.get_logger().setLevel(logging.ERROR)

# Up to this size a program is held twice: once more for runs on a single thread.
MAX_DUPLICATED_BYTES = 32 << 20
# A client chooses the output filter: so many different ones are kept compiled for a model.
MAX_CALLS = 256
# So many different combinations of dtypes and ranks are known to fit before they are looked at anew.
MAX_REMEMBERED = 4096

# The inputs in the order of the signature's.
_Call = Callable[[Sequence[np.ndarray]], dict[str, np.ndarray]]
# Signature, outputs, and whether it is run on a single thread.
_Key = tuple[str, tuple[str, ...], bool]


def load(path: Path, config: Config) -> "TensorFlowModel":
    """Load the SavedModel in `path`. Raises ServeError with TensorFlow's code and text."""
    try:
        _load_custom_ops(config)
        model = TensorFlowModel(path, config)
    except tf.errors.OpError as error:
        raise ServeError(Code(error.error_code), error.message + _hint(error.message)) from None
    except OSError as error:
        raise ServeError(Code.NOT_FOUND, str(error)) from None
    except (RuntimeError, ValueError) as error:
        raise ServeError(Code.INVALID_ARGUMENT, str(error)) from None
    _return_memory()
    return model


def check_settings(config: Config) -> None:
    """INVALID_ARGUMENT for a ConfigProto that cannot be used, NOT_FOUND for custom operators that cannot be loaded."""
    _session_config(config)
    _load_custom_ops(config)


class TensorFlowModel:
    """One SavedModel in memory: a session on the caller's thread, and a compiled call a signature and output filter."""

    engine = "tensorflow"

    def __init__(self, path: Path, config: Config) -> None:
        self._session_config = _session_config(config)
        tags = [tag for tag in config.saved_model_tags.split(",") if tag]
        session, meta_graph = _open(path, tags, self._session_config)
        self.signatures: Mapping[str, Signature] = {
            name: Signature.from_proto(name, wire.SignatureDef.FromString(signature.SerializeToString()))
            for name, signature in sorted(meta_graph.signature_def.items())
        }
        program = optimised_program(session, meta_graph, path, self._session_config)
        self._session = _start(session, program, self._session_config)
        self._single_threaded = _start_single_threaded(program, self._session_config)
        cores = max(1, (os.cpu_count() or 1) // config.workers)
        self._thread_count = ThreadCountPolicy(cores)
        # With oneDNN each thread remembers how an operator is computed for a shape, and on how many threads that is:
        # one that has computed on its own would not hand parts to others later.
        self._dedicated_threads = DedicatedThreads(cores, "wide")
        self._ranks = RankGuard(program.shape_graph)
        self._aliases = {name: tuple(signature.inputs) for name, signature in self.signatures.items()}
        # Signatures with dtypes and ranks of inputs that have been found to fit.
        self._fitting: set[tuple[Any, ...]] = set()
        self._calls: dict[_Key, _Call] = {}
        self._lock = threading.Lock()

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        arrays = [*map(inputs.__getitem__, self._aliases[signature])]
        kinds: list[Any] = [signature]
        elements = 0
        for array in arrays:
            kinds += array.dtype, array.ndim
            elements += array.size
        fitting = tuple(kinds)
        if fitting not in self._fitting:
            self._check(signature, arrays)
            if len(self._fitting) >= MAX_REMEMBERED:
                self._fitting.clear()
            self._fitting.add(fitting)
        single_threaded = (
            self._single_threaded is not None
            # Only the other executor names operators in a trace.
            and not tensorflow_profiler.tracing.locked()
            and self._thread_count.uses_one_thread(signature, elements)
        )
        key = signature, tuple(outputs), single_threaded
        try:
            return self._compute(key, arrays, elements)
        except tf.errors.OpError as error:
            if not single_threaded:
                raise _serve_error(error) from None
        # And only the other one says which operator failed.
        try:
            return self._compute((signature, tuple(outputs), False), arrays, elements)
        except tf.errors.OpError as error:
            raise _serve_error(error) from None

    def close(self) -> None:
        self._calls.clear()
        self._dedicated_threads.close()
        self._session.close()
        if self._single_threaded is not None:
            self._single_threaded.close()
        del self._session, self._single_threaded, self._ranks
        _return_memory()

    def _check(self, signature: str, arrays: Sequence[np.ndarray]) -> None:
        """The session takes any rank and aborts the process on some; a wrong dtype it reports by position only."""
        specs = self.signatures[signature].inputs
        for position, (array, (alias, spec)) in enumerate(zip(arrays, specs.items(), strict=True)):
            sent = from_numpy(array.dtype)
            if sent != spec.dtype:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"Expects arg[{position}] to be {_spoken(spec.dtype)} but {_spoken(sent)} is provided "
                    f"(input {alias})",
                )
        ranks = [(spec, array.ndim) for array, spec in zip(arrays, specs.values(), strict=True)]
        if any(spec.shape is None or rank != len(spec.shape) for spec, rank in ranks):
            self._ranks.check({spec.tensor: rank for spec, rank in ranks})

    def _compute(self, key: _Key, arrays: Sequence[np.ndarray], elements: int) -> dict[str, np.ndarray]:
        signature, _, single_threaded = key
        call = self._calls.get(key)
        known = call is not None
        call = call or self._compile(key)
        if self._single_threaded is None:
            return call(arrays)
        function, *arguments = (call, arrays) if single_threaded else (self._dedicated_threads.run, call, arrays)
        # A first run tells nothing of how long the next one takes.
        if not known:
            return function(*arguments)
        return self._thread_count.run(signature, elements, function, *arguments, single_threaded=single_threaded)

    def _compile(self, key: _Key) -> _Call:
        signature, outputs, single_threaded = key
        with self._lock:
            if len(self._calls) >= MAX_CALLS:
                self._calls.clear()
            session = self._single_threaded if single_threaded else self._session
            call = self._calls[key] = _make_call(session, self.signatures[signature], outputs)
            return call


def _make_call(session: Any, signature: Signature, outputs: Sequence[str]) -> _Call:
    """One trip into the runtime for `outputs`; a tensor that is fed is not fetched but handed back."""
    fed = [spec.tensor for spec in signature.inputs.values()]
    wanted = {alias: signature.outputs[alias].tensor for alias in outputs}
    fetched = list(dict.fromkeys(tensor for tensor in wanted.values() if tensor not in fed))
    compiled = session._make_callable_from_options(config_pb2.CallableOptions(feed=fed, fetch=fetched))
    plain = fetched == list(wanted.values())

    def call(arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        values = compiled(*arrays)
        if bytes in map(type, values):  # what a session makes of a string tensor without dimensions
            values = [np.array(value, np.object_) if type(value) is bytes else value for value in values]
        if plain:
            return dict(zip(wanted, values, strict=True))
        found = {**dict(zip(fed, arrays, strict=True)), **dict(zip(fetched, values, strict=True))}
        return {alias: found[tensor] for alias, tensor in wanted.items()}

    return call


def _open(path: Path, tags: Sequence[str], session_config: Any) -> tuple[Any, Any]:
    """The Session loader: graph imported, variables restored, tables initialised."""
    graph = tf.Graph()
    with graph.as_default():
        session = tf.compat.v1.Session(graph=graph, config=session_config)
        return session, GuardedLoader(str(path)).load(session, tags)


def _start(loaded: Any, program: Program, session_config: Any) -> Any:
    """The session that answers: `loaded` itself, or a new one for a program that needs no variables."""
    if program.graph_def is None:
        return loaded
    graph = _graph_of(program.graph_def)
    if guard_unknown(program.graph_def, graph):
        graph = _graph_of(program.graph_def)
    session = _session_of(graph, program.init_ops, session_config)
    loaded.close()
    return session


def _start_single_threaded(program: Program, session_config: Any) -> Any:
    """A second session of a small program, which computes on the thread that asks and no other.

    None if the program is large, has state of its own, or the operator has chosen a number of threads.
    """
    if (
        program.graph_def is None
        or program.graph_def.ByteSize() > MAX_DUPLICATED_BYTES
        or session_config.intra_op_parallelism_threads
    ):
        return None
    single_threaded = config_pb2.ConfigProto()
    single_threaded.CopyFrom(session_config)
    single_threaded.intra_op_parallelism_threads = 1
    if is_straight(program.graph_def):
        # Runs one operator after the other, without the bookkeeping of an executor that could run several at once.
        single_threaded.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"
    return _session_of(_graph_of(program.graph_def), program.init_ops, single_threaded)


def _session_of(graph: Any, init_ops: Sequence[str], session_config: Any) -> Any:
    final = config_pb2.ConfigProto()
    final.CopyFrom(session_config)
    # It has been optimised already.
    final.graph_options.rewrite_options.disable_meta_optimizer = True
    session = tf.compat.v1.Session(graph=graph, config=final)
    if init_ops:
        session.run([graph.get_operation_by_name(name) for name in init_ops])
    return session


def _graph_of(graph_def: Any) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    return graph


def _session_config(config: Config) -> Any:
    """The operator's own ConfigProto, flags over it; operators run on the thread that asks unless it says otherwise."""
    session_config = config_pb2.ConfigProto()
    if config.tensorflow_session_config_file:
        file = Path(config.tensorflow_session_config_file)
        try:
            text_format.Parse(file.read_bytes(), session_config)
        except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
            raise ServeError(
                Code.INVALID_ARGUMENT, f"Error parsing text-format tensorflow.ConfigProto: {file}: {error}"
            ) from None
    session_config.inter_op_parallelism_threads = (
        config.tensorflow_inter_op_parallelism
        or config.tensorflow_session_parallelism
        or session_config.inter_op_parallelism_threads
        or -1
    )
    session_config.intra_op_parallelism_threads = (
        config.tensorflow_intra_op_parallelism
        or config.tensorflow_session_parallelism
        or session_config.intra_op_parallelism_threads
    )
    session_config.allow_soft_placement = True
    return session_config


def _load_custom_ops(config: Config) -> None:
    for library in config.op_library:
        _load_library(library)
    for module in config.import_module:
        try:
            import_module(module)
        except Exception as error:  # the operator's own code
            raise ServeError(Code.INVALID_ARGUMENT, f"--import={module}: {type(error).__name__}: {error}") from None


@cache
def _load_library(path: str) -> None:
    try:
        tf.load_op_library(path)
    except tf.errors.OpError as error:
        raise ServeError(Code.NOT_FOUND, f"--op_library={path}: {error.message}") from None


def _hint(message: str) -> str:
    """What to type when an operator is missing."""
    missing = "not registered" in message
    return " Load what brings it: --op_library=FILE.so, or --import=MODULE" if missing else ""


def _spoken(dtype: str) -> str:
    """`DT_FLOAT` -> `float`, as TensorFlow's own messages say it."""
    return dtype.removeprefix("DT_").lower()


def _serve_error(error: Any) -> ServeError:
    return ServeError(Code(error.error_code), error.message)


def _return_memory() -> None:
    """Graphs lie in cycles and glibc keeps what was freed; a server that swaps all day must give both back."""
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (AttributeError, OSError):  # another libc
            return
