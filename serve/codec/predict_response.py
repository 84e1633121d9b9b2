"""PredictResponse, as the bytes that travel: most of what a small answer costs would be the messages in between."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

from serve.codec.tensor import serialize
from tfx_export import wire
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.tensor import Array, bytes_before_values
from tfx_export.wire.varint import encode_varint

# `outputs` is a map: each entry a message of its own, with a key and a value. Tag numbers as in predict.proto.
_ENTRY, _KEY, _VALUE = b"\x0a", b"\x0a", b"\x12"

# Of an output: name, dtype as declared, shape, size in bytes.
_Form: TypeAlias = tuple[str, str, tuple[int, ...], int]


def predict_response(
    model: str, version: int, signature: Signature, outputs: Mapping[str, Array], *, as_content: bool = False
) -> bytes:
    """The answer of that version. UNIMPLEMENTED for an output that no tensor can hold."""
    forms = tuple([(name, signature.outputs[name].dtype, array.shape, array.nbytes) for name, array in outputs.items()])
    around = _around_values(model, version, signature.name, forms, as_content=as_content)
    if around:
        return b"".join(
            [part for before, array in zip(around, outputs.values(), strict=True) for part in (before, array.tobytes())]
        )
    parts = [_spec(model, version, signature.name)]
    for name, array in outputs.items():
        tensor = serialize(array, as_content=as_content, dtype=signature.outputs[name].dtype)
        parts += (_entry_head(name, len(tensor)), tensor)
    return b"".join(parts)


@lru_cache(1024)
def _around_values(
    model: str, version: int, signature: str, forms: tuple[_Form, ...], *, as_content: bool
) -> tuple[bytes, ...] | None:
    """What comes before the values of each output, if the values of all are sent as they lie in memory."""
    parts, start = [], _spec(model, version, signature)
    for name, dtype, shape, size in forms:
        try:
            before = bytes_before_values(dtype, shape, size, as_content=as_content)
        except KeyError:
            return None
        if before is None:
            return None
        parts.append(start + _entry_head(name, len(before) + size) + before)
        start = b""
    return tuple(parts)


@lru_cache(1024)
def _spec(model: str, version: int, signature: str) -> bytes:
    response = wire.PredictResponse()
    response.model_spec.name = model
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature
    serialized: bytes = response.SerializeToString()
    return serialized


def _entry_head(name: str, size: int) -> bytes:
    """What an entry of `outputs` is up to its tensor of `size` bytes."""
    key = name.encode()
    head = b"".join((_KEY, encode_varint(len(key)), key, _VALUE, encode_varint(size)))
    return b"".join((_ENTRY, encode_varint(len(head) + size), head))
