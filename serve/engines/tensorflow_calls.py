"""The signatures of a SavedModel as its graph has them, and compiled calls of a session for them."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.savedmodel.dtypes import dtype_name, input_dtype
from tfx_export.savedmodel.signature import Signature, TensorSpec

# Converting a string tensor with more dimensions from or to NumPy ends the process with SIGSEGV.
MAX_STRING_RANK = 32
# `zeros` makes no larger input.
MAX_TRIED_ELEMENTS = 1 << 22

# Takes the inputs in the signature's order.
Call = Callable[[Sequence[np.ndarray]], dict[str, np.ndarray]]


def signatures_of(meta_graph: Any, graph: Any) -> dict[str, Signature]:
    """The signatures of `meta_graph` by name, as `graph` has their tensors."""
    return {
        name: _as_in_graph(
            Signature.from_proto(name, wire.SignatureDef.FromString(signature.SerializeToString())), graph
        )
        for name, signature in sorted(meta_graph.signature_def.items())
    }


def _as_in_graph(signature: Signature, graph: Any) -> Signature:
    """The signature with the full names (`x:0`) and the dtypes that its tensors have in the graph.

    A SignatureDef may say otherwise; a session does not read it. What is not in the graph stays as it is.
    """

    def found(spec: TensorSpec) -> TensorSpec:
        name = spec.tensor if ":" in spec.tensor else f"{spec.tensor}:0"
        tensor = _tensor(graph, name)
        if tensor is None:
            return spec
        return replace(spec, tensor=name, dtype=dtype_name(tensor.dtype.base_dtype.as_datatype_enum))

    inputs = {alias: found(spec) if spec.encoding == "dense" else spec for alias, spec in signature.inputs.items()}
    outputs = {alias: found(spec) if spec.encoding == "dense" else spec for alias, spec in signature.outputs.items()}
    return replace(signature, inputs=inputs, outputs=outputs)


def make_call(session: Any, signature: Signature, outputs: Sequence[str]) -> Call:
    """Compiles one call of the session for `outputs`. An output that is also an input is returned without a fetch."""
    fed = [spec.tensor for spec in signature.inputs.values()]
    if len(set(fed)) < len(fed):
        return _call_without_repeated(session, signature, outputs)
    wanted = {alias: signature.outputs[alias].tensor for alias in outputs}
    fetched = list(dict.fromkeys(tensor for tensor in wanted.values() if tensor not in fed))
    if not fetched:
        return lambda arrays: {alias: arrays[fed.index(tensor)] for alias, tensor in wanted.items()}
    convertible = [_convertible(session.graph, tensor) for tensor in fetched]
    compiled = session._make_callable_from_options(config_pb2.CallableOptions(feed=fed, fetch=convertible))
    fetches_in_order = fetched == list(wanted.values())

    def call(arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        values = compiled(*arrays)
        if bytes in map(type, values):  # a session returns a string tensor without dimensions as bytes
            values = [np.array(value, np.object_) if type(value) is bytes else value for value in values]
        if fetches_in_order:
            return dict(zip(wanted, values, strict=True))
        found = {**dict(zip(fed, arrays, strict=True)), **dict(zip(fetched, values, strict=True))}
        return {alias: found[tensor] for alias, tensor in wanted.items()}

    return call


def _convertible(graph: Any, name: str) -> str:
    """The tensor to fetch for `name`: one that fails in words if it is a string tensor with too many dimensions."""
    tensor = _tensor(graph, name)
    if tensor is None or tensor.dtype.base_dtype != tf.string:
        return name
    if tensor.shape.rank is not None and tensor.shape.rank <= MAX_STRING_RANK:
        return name
    with graph.as_default(), tf.device(None):
        text = f"The string tensor {name} has more than {MAX_STRING_RANK} dimensions"
        with tf.control_dependencies([tf.debugging.Assert(tf.rank(tensor) <= MAX_STRING_RANK, [text])]):
            return str(tf.identity(tensor).name)


def _tensor(graph: Any, name: str) -> Any:
    """The tensor `name` of the graph; None if there is none."""
    try:
        return graph.get_tensor_by_name(name)
    except (KeyError, ValueError):
        return None


def _call_without_repeated(session: Any, signature: Signature, outputs: Sequence[str]) -> Call:
    """A call for a signature of which several inputs are the same tensor: a session takes each tensor once."""
    fed = [spec.tensor for spec in signature.inputs.values()]
    first = {tensor: fed.index(tensor) for tensor in fed}
    inputs = {
        alias: spec for position, (alias, spec) in enumerate(signature.inputs.items()) if position in first.values()
    }
    call = make_call(session, replace(signature, inputs=inputs), outputs)

    def call_once(arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        for tensor, array in zip(fed, arrays, strict=True):
            if not np.array_equal(array, arrays[first[tensor]]):
                raise ServeError(Code.INVALID_ARGUMENT, f'Endpoint "{tensor}" fed more than once.')
        return call([arrays[position] for position in first.values()])

    return call_once


def compile_calls(session: Any, signatures: Mapping[str, Signature]) -> None:
    """Compiles a call of every signature: TensorFlow rewrites the graph and creates its operators, but runs nothing."""
    for signature in signatures.values():
        with suppress(Exception):  # a request gets this error
            make_call(session, signature, [*signature.outputs])


def zeros(signature: Signature) -> dict[str, np.ndarray]:
    """Inputs of the declared shapes; unknown dimensions are 1. Raises ValueError if one would be large."""
    inputs = {}
    for alias, spec in signature.inputs.items():
        declared = (None,) if spec.shape is None else spec.shape
        shape = [1 if size is None else size for size in declared]
        if math.prod(shape) > MAX_TRIED_ELEMENTS:
            raise ValueError(f"{alias} is too large")
        dtype = input_dtype(spec.dtype)
        inputs[alias] = np.full(shape, b"", object) if dtype.kind == "O" else np.zeros(shape, dtype)
    return inputs
