"""The TensorFlow engine: runs a SavedModel in sessions, as it was prepared by a child process or as it is.

Import it through serve.engines.tensorflow_setup, which prepares the process.
"""

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serve.config import Config
from serve.engines import tensorflow_profiler
from serve.engines.preparation import Outcome
from serve.engines.tensorflow_calls import MAX_STRING_RANK, Call, compile_calls, make_call, signatures_of, zeros
from serve.engines.tensorflow_errors import from_tensorflow, loading_errors
from serve.engines.tensorflow_ranks import RankGuard
from serve.engines.tensorflow_sessions import start
from serve.engines.tensorflow_settings import load_custom_ops
from serve.errors import Code, ServeError
from serve.execution.dedicated_threads import DedicatedThreads
from serve.execution.thread_count import ThreadCountPolicy
from serve.loaded_model import Preparation
from tfx_export.savedmodel.dtypes import from_numpy, type_string
from tfx_export.savedmodel.signature import Signature

# At most 256 compiled calls per model, because clients choose the output filter.
MAX_CALLS = 256
# At most 4,096 combinations of dtypes and ranks per model, because clients choose them.
MAX_REMEMBERED = 4096

# Signature name, output names, and whether the run uses a single thread.
_Key = tuple[str, tuple[str, ...], bool]


def load(path: Path, config: Config, prepared: Outcome) -> "TensorFlowModel":
    """Loads the SavedModel in `path`, prepared or as it is. Raises ServeError with TensorFlow's code and text."""
    with loading_errors():
        load_custom_ops(config)
        model = TensorFlowModel(path, config, prepared)
    _return_memory()
    return model


class TensorFlowModel:
    """One SavedModel in memory: its sessions, and a compiled call for each signature and output filter."""

    engine = "tensorflow"

    def __init__(self, path: Path, config: Config, prepared: Outcome) -> None:
        sessions = start(path, config, prepared)
        self.signatures: Mapping[str, Signature] = signatures_of(sessions.signatures, sessions.session.graph)
        self.mapped_bytes = sessions.mapped_bytes
        self.preparation = Preparation(prepared.seconds, sessions.reason)
        self._session = sessions.session
        self._single_threaded = sessions.single_threaded
        cores = max(1, (os.cpu_count() or 1) // config.workers)
        self._thread_count = ThreadCountPolicy(cores)
        # oneDNN remembers per thread how to compute an operator for a shape, and on how many threads: a thread that
        # has computed alone would not hand parts to other threads later.
        self._dedicated_threads = DedicatedThreads(cores, "intra-op")
        self._ranks = RankGuard(sessions.shape_graph, sessions.session.graph)
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
                raise from_tensorflow(error) from None
        # nor in an error: the other executor says which operator failed.
        try:
            return self._compute((signature, tuple(outputs), False), arrays, elements)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise from_tensorflow(error) from None

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
            if sent == "DT_STRING" and array.ndim > MAX_STRING_RANK:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"The input {alias} has {array.ndim} dimensions; string tensors have at most {MAX_STRING_RANK}",
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


def _return_memory() -> None:
    """Returns free memory to the system: graphs are reference cycles, and glibc keeps memory that was freed."""
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (AttributeError, OSError):  # a libc other than glibc
            return
