"""TensorProto <-> ndarray, with the status codes of a server."""

from collections.abc import Mapping

from serve.errors import Code, ServeError
from tfx_export import wire
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.tensor import MAX_ELEMENTS, Array


def decode(proto: wire.TensorProto, *, max_elements: int = MAX_ELEMENTS) -> Array:
    """`tensor.decode`; INVALID_ARGUMENT for what it refuses."""
    try:
        return tensor.decode(proto, max_elements=max_elements)
    except ValueError as error:
        raise ServeError(Code.INVALID_ARGUMENT, str(error)) from None


def decode_all(protos: Mapping[str, wire.TensorProto], *, max_elements: int = MAX_ELEMENTS) -> dict[str, Array]:
    """The arrays of a request by input name. The ServeError of a bad one names it as TensorFlow Serving does."""
    arrays = {}
    # Not over items(): those of a map in a message are slow.
    for name in protos:
        try:
            arrays[name] = tensor.decode(protos[name], max_elements=max_elements)
        except ValueError as error:
            raise ServeError(Code.INVALID_ARGUMENT, f"tensor parsing error: {name} ({error})") from None
    return arrays


def encode(array: Array, *, as_content: bool = False, dtype: str | None = None) -> wire.TensorProto:
    """`tensor.encode`; UNIMPLEMENTED for what no tensor can hold."""
    return wire.TensorProto.FromString(serialize(array, as_content=as_content, dtype=dtype))


def serialize(array: Array, *, as_content: bool = False, dtype: str | None = None) -> bytes:
    """`tensor.serialize`; UNIMPLEMENTED for what no tensor can hold."""
    try:
        return tensor.serialize(array, as_content=as_content, dtype=dtype)
    except TypeError as error:
        raise ServeError(Code.UNIMPLEMENTED, str(error)) from None
