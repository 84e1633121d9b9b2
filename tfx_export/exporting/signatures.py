"""Signatures: the ops between what a client sends and the source, in the source's graph."""

from typing import Any

import tensorflow as tf

from tfx_export.exporting.graph import SourceGraph
from tfx_export.savedmodel.dtypes import dtype_name
from tfx_export.savedmodel.signature import PREDICT, Signature, TensorSpec


def predict(source: SourceGraph, name: str) -> Signature:
    """Add a Predict signature: the source's own inputs and outputs, as raw tensors."""
    with source.graph.as_default(), tf.name_scope(name):
        inputs = {key: placeholder(key, value.dtype, value.shape) for key, value in source.inputs.items()}
        # A feed of the wrong rank must end as an error here: in some kernels it ends the process.
        guarded = {key: tf.ensure_shape(tensor, tensor.shape) for key, tensor in inputs.items()}
        outputs = {key: tf.identity(value, name=op_name(key)) for key, value in source.call(guarded).items()}
    return Signature(name, PREDICT, tensor_specs(inputs), tensor_specs(outputs))


def placeholder(key: str, dtype: Any, shape: Any) -> Any:
    return tf.compat.v1.placeholder(dtype, shape, name=op_name(key))


def op_name(key: str) -> str:
    """A name TensorFlow accepts for an op, from what a client calls the tensor."""
    cleaned = "".join(c if c.isascii() and (c.isalnum() or c in "_.-/") else "_" for c in key)
    return cleaned if cleaned[:1].isalnum() or cleaned[:1] == "." else f"t{cleaned}"


def tensor_specs(tensors: dict[str, Any]) -> dict[str, TensorSpec]:
    return {
        key: TensorSpec(
            tensor.name,
            dtype_name(tensor.dtype.as_datatype_enum),
            None if tensor.shape.rank is None else tuple(tensor.shape.as_list()),
        )
        for key, tensor in sorted(tensors.items())
    }
