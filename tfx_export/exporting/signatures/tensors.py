"""Tensors of a signature by name, and functions on tensors that all parts of a signature use."""

from collections.abc import Mapping

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.savedmodel.dtypes import dtype_name
from tfx_export.savedmodel.signature import TensorSpec

Tensors = Mapping[str, tf.Tensor]


def placeholder(key: str, dtype: tf.DType, shape: tf.TensorShape | list[int | None]) -> tf.Tensor:
    return tf.compat.v1.placeholder(dtype, shape, name=op_name(key))


def with_shape_check(tensor: tf.Tensor, shape: tf.TensorShape | list[int | None]) -> tf.Tensor:
    """Returns `tensor` with a check of its shape at run time: a wrong rank ends the process in some kernels."""
    return tf.ensure_shape(tensor, shape)


def op_name(key: str) -> str:
    """Returns a name that TensorFlow accepts for an op, from the client's name of the tensor."""
    cleaned = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in key)
    return cleaned if cleaned[:1].isalnum() else f"t{cleaned}"


def with_op_names(tensors: Tensors) -> dict[str, tf.Tensor]:
    """Returns the tensors behind ops of the same names, so that the graph has the names of the signature."""
    return {key: tf.identity(tensor, name=op_name(key)) for key, tensor in tensors.items()}


def tensor_specs(tensors: Tensors) -> dict[str, TensorSpec]:
    return {
        key: TensorSpec(
            tensor.name,
            dtype_name(tensor.dtype.as_datatype_enum),
            None if tensor.shape.rank is None else tuple(tensor.shape.as_list()),
        )
        for key, tensor in sorted(tensors.items())
    }


def dtype_of(name: str, where: str) -> tf.DType:
    """Returns the dtype of a name: `uint8` -> tf.uint8. Raises SpecError if the name is unknown."""
    try:
        return tf.as_dtype(name)
    except TypeError:
        raise SpecError(
            f"{where}: {name!r} is not a dtype.", hint="For example float32, int64, uint8, string, bool."
        ) from None


def cast(tensor: tf.Tensor, dtype: tf.DType, where: str) -> tf.Tensor:
    """Returns `tensor` cast to `dtype`. Raises SpecError between strings and numbers."""
    if tensor.dtype == dtype:
        return tensor
    if tf.string in (tensor.dtype, dtype):
        raise SpecError(
            f"{where}: {tensor.dtype.name} cannot be cast to {dtype.name}.",
            hint="Strings and numbers are not converted.",
        )
    return tf.cast(tensor, dtype)


def describe(dtype: tf.DType, shape: tf.TensorShape) -> str:
    """Returns dtype and shape as text: `float32 (any, 28, 28)`."""
    if shape.rank is None:
        return f"{dtype.name} of any shape"
    return f"{dtype.name} ({', '.join('any' if size is None else str(size) for size in shape.as_list())})"
