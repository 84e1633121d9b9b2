"""Converts between TensorProto and ndarray, with the status codes of a server."""

from collections.abc import Mapping

from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.tensor import MAX_ELEMENTS, Array


def decode(proto: wire.TensorProto, *, max_elements: int = MAX_ELEMENTS) -> Array:
    """Calls `tensor.decode`. Raises INVALID_ARGUMENT for a tensor that is not valid."""
    try:
        return tensor.decode(proto, max_elements=max_elements)
    except ValueError as error:
        raise ServeError(Code.INVALID_ARGUMENT, str(error)) from None


def decode_all(protos: Mapping[str, wire.TensorProto], *, max_elements: int = MAX_ELEMENTS) -> dict[str, Array]:
    """Returns the arrays of a request by input name. Errors name the input as TensorFlow Serving does."""
    arrays = {}
    # Not over items(), which is slow for a map in a message.
    for name in protos:
        try:
            arrays[name] = tensor.decode(protos[name], max_elements=max_elements)
        except ValueError as error:
            raise ServeError(Code.INVALID_ARGUMENT, f"tensor parsing error: {name} ({error})") from None
    return arrays


def encode(array: Array, *, as_content: bool = False, dtype: str | None = None) -> wire.TensorProto:
    """Calls `tensor.encode`. Raises UNIMPLEMENTED for an array that a tensor cannot hold."""
    return wire.TensorProto.FromString(serialize(array, as_content=as_content, dtype=dtype))


def serialize(array: Array, *, as_content: bool = False, dtype: str | None = None) -> bytes:
    """Calls `tensor.serialize`. Raises UNIMPLEMENTED for an array that a tensor cannot hold."""
    try:
        return tensor.serialize(array, as_content=as_content, dtype=dtype)
    except TypeError as error:
        raise ServeError(Code.UNIMPLEMENTED, str(error)) from None
