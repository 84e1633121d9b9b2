"""Converts between TensorProto and ndarray, with the status codes of a server.

Quantized tensors are read as arrays of TensorFlow's own dtypes, because an int8 is not a valid value of a qint8 input.
"""

from collections.abc import Mapping

from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.dtypes import QUANTIZED, dtype_number, input_dtype
from tfx_export.savedmodel.tensor import MAX_ELEMENTS, Array

_QUANTIZED = {dtype_number(name): input_dtype(name) for name in QUANTIZED}


def decode(proto: wire.TensorProto, *, max_elements: int = MAX_ELEMENTS) -> Array:
    """Calls `tensor.decode`. Raises INVALID_ARGUMENT for a tensor that is not valid."""
    try:
        return _as_input(tensor.decode(proto, max_elements=max_elements), proto)
    except ValueError as error:
        raise ServeError(Code.INVALID_ARGUMENT, str(error)) from None


def decode_all(protos: Mapping[str, wire.TensorProto], *, max_elements: int = MAX_ELEMENTS) -> dict[str, Array]:
    """Returns the arrays of a request by input name. Errors name the input as TensorFlow Serving does."""
    arrays = {}
    # Not over items(), which is slow for a map in a message.
    for name in protos:
        try:
            proto = protos[name]
            arrays[name] = _as_input(tensor.decode(proto, max_elements=max_elements), proto)
        except ValueError as error:
            raise ServeError(Code.INVALID_ARGUMENT, f"tensor parsing error: {name} ({error})") from None
    return arrays


def _as_input(array: Array, proto: wire.TensorProto) -> Array:
    dtype = _QUANTIZED.get(proto.dtype)
    return array if dtype is None else array.view(dtype)


def encode(array: Array, *, as_content: bool = False, dtype: str | None = None) -> wire.TensorProto:
    """Calls `tensor.encode`. Raises UNIMPLEMENTED for an array that a tensor cannot hold."""
    return wire.TensorProto.FromString(serialize(array, as_content=as_content, dtype=dtype))


def serialize(array: Array, *, as_content: bool = False, dtype: str | None = None) -> bytes:
    """Calls `tensor.serialize`. Raises UNIMPLEMENTED for an array that a tensor cannot hold."""
    try:
        return tensor.serialize(array, as_content=as_content, dtype=dtype)
    except TypeError as error:
        raise ServeError(Code.UNIMPLEMENTED, str(error)) from None
