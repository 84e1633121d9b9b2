"""The LiteRT engine: a version's `model.tflite`, run by a pool of interpreters. TensorFlow is never imported."""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serve.config import Config
from serve.engines.litert_metadata import signatures_in
from serve.errors import Code, ServeError
from serve.execution.thread_count import ThreadCountPolicy
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel import reader
from tfx_export.savedmodel.dtypes import from_numpy
from tfx_export.savedmodel.export_record import TFLITE
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, PREDICT, Shape, Signature, TensorSpec

# Up to this size a model is held twice: once more for runs on a single thread.
MAX_DUPLICATED_BYTES = 4 << 20
# So many different combinations of shapes are known to fit before they are looked at anew.
MAX_REMEMBERED = 4096

_Shapes = list[tuple[int, ...]]


def load(path: Path, config: Config) -> "LiteRtModel":
    """Load `model.tflite` of the version folder `path`. Raises ServeError."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError:
        raise ServeError(
            Code.FAILED_PRECONDITION, "The LiteRT engine is not installed: pip install 'tfx-export[litert]'"
        ) from None
    try:
        return LiteRtModel(path, config)
    except FileNotFoundError:
        raise ServeError(
            Code.NOT_FOUND, f"There is no {TFLITE} in {path}; tfx-export writes it with --accelerate"
        ) from None
    except OSError as error:
        raise ServeError(Code.UNAVAILABLE, f"{path / TFLITE} cannot be read: {error.strerror}") from None
    except (ValueError, RuntimeError, KeyError) as error:
        raise ServeError(Code.INVALID_ARGUMENT, f"{path / TFLITE} cannot be loaded: {error}") from None


class LiteRtModel:
    """One `model.tflite` in memory."""

    engine = "litert"

    def __init__(self, path: Path, config: Config) -> None:
        # A copy, not a mapping: whoever overwrites the file in place must not take the server down with SIGBUS.
        content = (path / TFLITE).read_bytes()
        cores = max(1, (os.cpu_count() or 1) // config.workers)
        size = config.num_tflite_pools * config.num_tflite_interpreters_per_pool or cores
        self._pool = _Pool(content, size, config.tensorflow_intra_op_parallelism or cores)
        small = len(content) <= MAX_DUPLICATED_BYTES and not config.tensorflow_intra_op_parallelism
        self._single_threaded = _Pool(content, size, 1) if small else None
        self._thread_count = ThreadCountPolicy(cores)
        first = self._single_threaded or self._pool
        program = first.borrow("", [])
        first.give_back(program)
        declared = _declared(path, config)
        self.signatures: Mapping[str, Signature] = {
            name: declared[name] if name in declared and _same(declared[name], entry.signature) else entry.signature
            for name, entry in sorted(program.entries.items())
        }
        self._expected = {name: tuple(signature.inputs.items()) for name, signature in self.signatures.items()}
        self._fitting: set[tuple[object, ...]] = set()

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        arrays, shapes, dtypes, elements = [], [], [], 0
        for alias, spec in self._expected[signature]:
            array = inputs[alias]
            if spec.shape is not None and array.ndim < len(spec.shape):
                array = _viewed(array, spec.shape)
            arrays.append(array)
            shapes.append(array.shape)
            dtypes.append(array.dtype)
            elements += array.size
        key = (signature, *shapes, *dtypes)
        if key not in self._fitting:
            self._check(signature, arrays)
            if len(self._fitting) >= MAX_REMEMBERED:
                self._fitting.clear()
            self._fitting.add(key)
        pool = self._pool
        if self._single_threaded and self._thread_count.uses_one_thread(signature, elements):
            pool = self._single_threaded
        interpreter = pool.borrow(signature, shapes)
        prepared = interpreter.is_prepared(signature, shapes)
        work = signature, shapes, arrays, outputs, prepared
        try:
            if self._single_threaded and prepared:
                answer = self._thread_count.run(
                    signature, elements, interpreter.run, *work, single_threaded=pool is self._single_threaded
                )
            else:
                answer = interpreter.run(*work)
        except (RuntimeError, ValueError) as error:
            # What a failed preparation leaves behind is not worth finding out: this interpreter is not used again.
            pool.drop()
            raise ServeError(Code.INVALID_ARGUMENT, f"The model cannot take these inputs: {error}") from None
        except BaseException:
            pool.drop()
            raise
        pool.give_back(interpreter)
        return answer

    def close(self) -> None:
        self._pool.close()
        if self._single_threaded:
            self._single_threaded.close()

    def _check(self, signature: str, arrays: Sequence[np.ndarray]) -> None:
        """LiteRT reads an array of another shape as if it fitted: ServeError for what is not as declared."""
        for array, (alias, spec) in zip(arrays, self._expected[signature], strict=True):
            if spec.shape is not None and not _fits(array.shape, spec.shape):
                sent = ",".join(map(str, array.shape))
                declared = ",".join("?" if size is None else str(size) for size in spec.shape)
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"Shape of input {alias} [{sent}] is not compatible with expected shape [{declared}].",
                )
            if from_numpy(array.dtype) != spec.dtype:
                raise ServeError(
                    Code.INVALID_ARGUMENT, f"Input {alias} is {from_numpy(array.dtype)}, expected {spec.dtype}."
                )


class _Entry:
    """One entry point of the file: its subgraph, its tensors by alias, and what they are."""

    def __init__(
        self,
        interpreter: Any,
        name: str,
        subgraph: int,
        inputs: dict[str, int],
        outputs: dict[str, int],
        method: str = PREDICT,
    ) -> None:
        self.subgraph = subgraph
        self.inputs = [index for _, index in sorted(inputs.items())]
        self.outputs = outputs

        def specs(tensors: dict[str, int]) -> dict[str, TensorSpec]:
            return {alias: _spec(interpreter, index, subgraph) for alias, index in sorted(tensors.items())}

        self.signature = Signature(name, method, specs(inputs), specs(outputs))


class _Interpreter:
    """One interpreter and the input shapes each of its entry points is prepared for. Used by one thread at a time."""

    def __init__(self, content: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # The wrapper below is what the public classes stand on: a signature runner prepares all tensors at every call.
        self._keep = Interpreter(model_content=content, num_threads=threads)
        self._native = self._keep._interpreter
        self.entries = self._read_entries(content)
        self._prepared: dict[str, _Shapes] = {}

    def is_prepared(self, signature: str, shapes: _Shapes) -> bool:
        return self._prepared.get(signature) == shapes

    def run(
        self, signature: str, shapes: _Shapes, arrays: Sequence[np.ndarray], outputs: Sequence[str], prepared: bool
    ) -> dict[str, np.ndarray]:
        """Answer inputs given in the order of their aliases; `prepared` is what `is_prepared` says."""
        entry, native = self.entries[signature], self._native
        if not prepared:
            self._prepared.pop(signature, None)
            for index, shape in zip(entry.inputs, shapes, strict=True):
                native.ResizeInputTensor(index, np.array(shape, np.int32), False, entry.subgraph)
            native.AllocateTensors(entry.subgraph)
            self._prepared[signature] = shapes
        for index, array in zip(entry.inputs, arrays, strict=True):
            native.SetTensor(index, array, entry.subgraph)
        native.Invoke(entry.subgraph)
        return {alias: native.GetTensor(entry.outputs[alias], entry.subgraph) for alias in outputs}

    def _read_entries(self, content: bytes) -> dict[str, _Entry]:
        found = self._keep._get_full_signature_list()
        if found:
            return {
                name: _Entry(
                    self._keep,
                    name,
                    self._native.GetSubgraphIndexFromSignature(name),
                    parts["inputs"],
                    parts["outputs"],
                )
                for name, parts in found.items()
            }
        inputs = {detail["name"]: int(detail["index"]) for detail in self._keep.get_input_details()}
        outputs = {detail["name"]: int(detail["index"]) for detail in self._keep.get_output_details()}
        told = signatures_in(content)
        if told:
            return {
                name: _Entry(
                    self._keep,
                    name,
                    0,
                    _indices(signature.inputs, inputs),
                    _indices(signature.outputs, outputs),
                    signature.method,
                )
                for name, signature in told.items()
            }
        # A file without signatures: the tensors' own names, under the name that clients use when they give none.
        return {
            DEFAULT_SIGNATURE: _Entry(
                self._keep, DEFAULT_SIGNATURE, 0, _without_numbers(inputs), _without_numbers(outputs)
            )
        }


class _Pool:
    """Interpreters, made when needed up to a number; a request borrows one that is prepared for its shapes, or any.

    The first gets all threads, for the shortest answer while requests come one by one; the later ones, made when
    several run at once, get fewer.
    """

    def __init__(self, content: bytes, size: int, threads: int) -> None:
        self._content, self._size, self._threads = content, size, threads
        self._idle: list[_Interpreter] = []
        self._made = 0
        self._waiting = 0
        # Taken by itself where nobody waits: a condition's own `with` costs more.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def borrow(self, signature: str, shapes: _Shapes) -> _Interpreter:
        """An interpreter nobody else uses; waits while all are in use."""
        with self._lock:
            while not self._idle and self._made >= self._size:
                self._waiting += 1
                self._changed.wait()
                self._waiting -= 1
            if self._idle:
                for index, interpreter in enumerate(self._idle):
                    if interpreter.is_prepared(signature, shapes):
                        return self._idle.pop(index)
                return self._idle.pop()
            self._made += 1
            threads = max(1, self._threads // self._made)
        try:
            return _Interpreter(self._content, threads)
        except BaseException:
            self.drop()
            raise

    def give_back(self, interpreter: _Interpreter) -> None:
        with self._lock:
            self._idle.append(interpreter)
            if self._waiting:
                self._changed.notify()

    def drop(self) -> None:
        """A borrowed interpreter does not come back: room for a new one."""
        with self._lock:
            self._made -= 1
            self._changed.notify()

    def close(self) -> None:
        with self._lock:
            self._idle.clear()
            self._content = b""


def _spec(interpreter: Any, index: int, subgraph: int) -> TensorSpec:
    details = interpreter._get_tensor_details(index, subgraph)
    shape = tuple(None if size < 0 else int(size) for size in details["shape_signature"])
    return TensorSpec(details["name"], from_numpy(np.dtype(details["dtype"])), shape)


def _indices(specs: Mapping[str, TensorSpec], tensors: Mapping[str, int]) -> dict[str, int]:
    """Where the tensors of a signature are; early converters dropped the `:0` of their names."""
    found = {}
    for alias, spec in specs.items():
        name = spec.tensor if spec.tensor in tensors else spec.tensor.partition(":")[0]
        if name not in tensors:
            raise ValueError(f"{alias} of its signature references an unknown tensor '{name}'")
        found[alias] = tensors[name]
    return found


def _without_numbers(tensors: Mapping[str, int]) -> dict[str, int]:
    """`x` for `x:0`, as upstream names them, where that leaves the names different."""
    short = {name.partition(":")[0]: index for name, index in tensors.items()}
    return short if len(short) == len(tensors) else dict(tensors)


def _declared(path: Path, config: Config) -> dict[str, Signature]:
    """The signatures of the SavedModel beside the file, if there is one: it knows methods and shapes better."""
    try:
        return reader.read_signatures(path, config.saved_model_tags.split(","))
    except SavedModelError:
        return {}


def _same(one: Signature, other: Signature) -> bool:
    def dtypes(signature: Signature) -> tuple[dict[str, str], dict[str, str]]:
        inputs, outputs = signature.inputs.items(), signature.outputs.items()
        return {alias: spec.dtype for alias, spec in inputs}, {alias: spec.dtype for alias, spec in outputs}

    return dtypes(one) == dtypes(other)


def _viewed(array: np.ndarray, declared: Shape) -> np.ndarray:
    """The values of a shape that lacks nothing but sizes of 1 at its end, `[3]` for `[?, 1]`: upstream takes them."""
    missing = declared[max(1, array.ndim) :]
    if array.ndim and missing and all(size == 1 for size in missing):
        return array.reshape(*array.shape, *missing)
    return array


def _fits(sent: tuple[int, ...], declared: Shape) -> bool:
    """Many converters declare a batch of one; the runtime takes any."""
    return len(sent) == len(declared) and all(
        want is None or want == size for want, size in zip(declared[1:], sent[1:], strict=True)
    )
