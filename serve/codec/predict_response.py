"""Writes the bytes of a PredictResponse without protobuf messages, which would take most of the time of a small one.

The bytes before the values of each output are the same for equal outputs; a template cache keeps them.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from serve.codec.tensor import serialize
from tfx_export import wire
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.tensor import Array, bytes_before_values
from tfx_export.wire.varint import encode_varint

# `outputs` is a map: each entry is a message with a key and a value. Tags of predict.proto.
_ENTRY, _KEY, _VALUE = b"\x0a", b"\x0a", b"\x12"

# Name, declared dtype, shape and size in bytes of an output.
_OutputForm: TypeAlias = tuple[str, str, tuple[int, ...], int]


def predict_response(
    model: str, version: int, signature: Signature, outputs: Mapping[str, Array], *, as_content: bool = False
) -> bytes:
    """Returns the response of that version. Raises UNIMPLEMENTED for an output that a tensor cannot hold."""
    forms = tuple([(name, signature.outputs[name].dtype, array.shape, array.nbytes) for name, array in outputs.items()])
    template = _template(model, version, signature.name, forms, as_content=as_content)
    if template:
        return b"".join(
            [piece for head, array in zip(template, outputs.values(), strict=True) for piece in (head, array.tobytes())]
        )
    pieces = [_spec(model, version, signature.name)]
    for name, array in outputs.items():
        tensor = serialize(array, as_content=as_content, dtype=signature.outputs[name].dtype)
        pieces += (_entry_head(name, len(tensor)), tensor)
    return b"".join(pieces)


@lru_cache(1024)
def _template(
    model: str, version: int, signature: str, forms: tuple[_OutputForm, ...], *, as_content: bool
) -> tuple[bytes, ...] | None:
    """Returns the bytes before the values of each output; None unless all values are sent as they are in memory."""
    heads, start = [], _spec(model, version, signature)
    for name, dtype, shape, size in forms:
        try:
            before = bytes_before_values(dtype, shape, size, as_content=as_content)
        except KeyError:
            return None
        if before is None:
            return None
        heads.append(start + _entry_head(name, len(before) + size) + before)
        start = b""
    return tuple(heads)


@lru_cache(1024)
def _spec(model: str, version: int, signature: str) -> bytes:
    response = wire.PredictResponse()
    response.model_spec.name = model
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature
    serialized: bytes = response.SerializeToString()
    return serialized


def _entry_head(name: str, size: int) -> bytes:
    """Returns the bytes of an entry of `outputs` before its tensor of `size` bytes."""
    key = name.encode()
    head = b"".join((_KEY, encode_varint(len(key)), key, _VALUE, encode_varint(size)))
    return b"".join((_ENTRY, encode_varint(len(head) + size), head))
