"""The LiteRT engine: runs a version's `model.tflite` on a pool of interpreters. Does not import TensorFlow."""

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

# A model up to this size is held twice, the second time for runs on a single thread.
MAX_DUPLICATED_BYTES = 4 << 20
# At most 4,096 combinations of shapes per model, because clients choose them.
MAX_REMEMBERED = 4096

_Shapes = list[tuple[int, ...]]


def load(path: Path, config: Config) -> "LiteRtModel":
    """Loads `model.tflite` of the version folder `path`. Raises ServeError."""
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
    mapped_bytes = 0
    preparation = None

    def __init__(self, path: Path, config: Config) -> None:
        # A copy, not a mapping: if the file is overwritten in place, a mapping would end the server with SIGBUS.
        content = (path / TFLITE).read_bytes()
        cores = max(1, (os.cpu_count() or 1) // config.workers)
        size = config.num_tflite_pools * config.num_tflite_interpreters_per_pool or cores
        self._pool = _Pool(content, size, config.tensorflow_intra_op_parallelism or cores)
        small = len(content) <= MAX_DUPLICATED_BYTES and not config.tensorflow_intra_op_parallelism
        self._single_threaded = _Pool(content, size, 1) if small else None
        self._thread_count = ThreadCountPolicy(cores)
        first = self._single_threaded or self._pool
        interpreter = first.borrow("", [])
        first.give_back(interpreter)
        declared = _declared(path, config)
        self.signatures: Mapping[str, Signature] = {
            name: _more_exact(declared.get(name), entry.signature)
            for name, entry in sorted(interpreter.entries.items())
        }
        self._expected = {name: tuple(signature.inputs.items()) for name, signature in self.signatures.items()}
        self._checked: set[tuple[object, ...]] = set()

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        arrays, shapes, dtypes, elements = [], [], [], 0
        for alias, spec in self._expected[signature]:
            array = inputs[alias]
            if spec.shape is not None and array.ndim < len(spec.shape):
                array = _append_unit_dimensions(array, spec.shape)
            arrays.append(array)
            shapes.append(array.shape)
            dtypes.append(array.dtype)
            elements += array.size
        key = (signature, *shapes, *dtypes)
        if key not in self._checked:
            self._check(signature, arrays)
            if len(self._checked) >= MAX_REMEMBERED:
                self._checked.clear()
            self._checked.add(key)
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
            # After a failure the state of this interpreter is unknown, so it is not used again.
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
        """Raises ServeError for a shape or dtype other than declared: LiteRT would read the array as if it fitted."""
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
    """One signature of the file: its subgraph, and its tensors by alias."""

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
    """One interpreter and, by signature, the input shapes it is prepared for. Used by one thread at a time."""

    def __init__(self, content: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # The native wrapper is called directly, because a signature runner allocates all tensors again at every call.
        # The public object must live as long as the wrapper.
        self._public = Interpreter(model_content=content, num_threads=threads)
        self._native = self._public._interpreter
        self.entries = self._read_entries(content)
        self._prepared: dict[str, _Shapes] = {}

    def is_prepared(self, signature: str, shapes: _Shapes) -> bool:
        return self._prepared.get(signature) == shapes

    def run(
        self, signature: str, shapes: _Shapes, arrays: Sequence[np.ndarray], outputs: Sequence[str], prepared: bool
    ) -> dict[str, np.ndarray]:
        """Runs `signature` on `arrays`, in the order of their aliases. `prepared` is what `is_prepared` says."""
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
        found = self._public._get_full_signature_list()
        if found:
            return {
                name: _Entry(
                    self._public,
                    name,
                    self._native.GetSubgraphIndexFromSignature(name),
                    parts["inputs"],
                    parts["outputs"],
                )
                for name, parts in found.items()
            }
        inputs = {detail["name"]: int(detail["index"]) for detail in self._public.get_input_details()}
        outputs = {detail["name"]: int(detail["index"]) for detail in self._public.get_output_details()}
        in_metadata = signatures_in(content)
        if in_metadata:
            return {
                name: _Entry(
                    self._public,
                    name,
                    0,
                    _indices(signature.inputs, inputs),
                    _indices(signature.outputs, outputs),
                    signature.method,
                )
                for name, signature in in_metadata.items()
            }
        # A file without signatures gets the default signature with the names of its tensors.
        return {
            DEFAULT_SIGNATURE: _Entry(
                self._public, DEFAULT_SIGNATURE, 0, _without_numbers(inputs), _without_numbers(outputs)
            )
        }


class _Pool:
    """At most `size` interpreters, created when needed. A run borrows one that is prepared for its shapes, or any.

    The first interpreter gets all threads, so that single requests are answered fastest. Later ones, which are created
    when several requests run at once, get fewer.
    """

    def __init__(self, content: bytes, size: int, threads: int) -> None:
        self._content, self._size, self._threads = content, size, threads
        self._idle: list[_Interpreter] = []
        self._made = 0
        self._waiting = 0
        # Acquired directly where no thread waits, because entering a condition costs more.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def borrow(self, signature: str, shapes: _Shapes) -> _Interpreter:
        """Returns an interpreter that no other thread uses. Waits while all are in use."""
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
        """Discards a borrowed interpreter, so that a new one can be created."""
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
    """The indices of the tensors of a signature. Early converters dropped the `:0` of tensor names."""
    found = {}
    for alias, spec in specs.items():
        name = spec.tensor if spec.tensor in tensors else spec.tensor.partition(":")[0]
        if name not in tensors:
            raise ValueError(f"{alias} of its signature references an unknown tensor '{name}'")
        found[alias] = tensors[name]
    return found


def _without_numbers(tensors: Mapping[str, int]) -> dict[str, int]:
    """Renames `x:0` to `x`, as TensorFlow Serving does, unless two tensors would then have the same name."""
    short = {name.partition(":")[0]: index for name, index in tensors.items()}
    return short if len(short) == len(tensors) else dict(tensors)


def _declared(path: Path, config: Config) -> dict[str, Signature]:
    """The signatures of the SavedModel beside the file, if there is one: its methods and shapes are more exact."""
    try:
        return reader.read_signatures(path, config.saved_model_tags.split(","))
    except SavedModelError:
        return {}


def _more_exact(declared: Signature | None, found: Signature) -> Signature:
    """The signature of the SavedModel if it has the tensors and dtypes of the one in the file, otherwise the latter."""

    def dtypes(signature: Signature) -> tuple[dict[str, str], dict[str, str]]:
        inputs, outputs = signature.inputs.items(), signature.outputs.items()
        return {alias: spec.dtype for alias, spec in inputs}, {alias: spec.dtype for alias, spec in outputs}

    return declared if declared is not None and dtypes(declared) == dtypes(found) else found


def _append_unit_dimensions(array: np.ndarray, declared: Shape) -> np.ndarray:
    """Appends the dimensions of size 1 at the end of the declared shape: `[3]` fits `[?, 1]`, as it does upstream."""
    missing = declared[max(1, array.ndim) :]
    if array.ndim and missing and all(size == 1 for size in missing):
        return array.reshape(*array.shape, *missing)
    return array


def _fits(sent: tuple[int, ...], declared: Shape) -> bool:
    """Whether `sent` fits `declared`. Ignores the batch size: many converters declare 1, and the runtime takes any."""
    return len(sent) == len(declared) and all(
        want is None or want == size for want, size in zip(declared[1:], sent[1:], strict=True)
    )
