"""PredictResponse, as the bytes that travel: most of what a small answer costs would be the messages in between."""

from collections.abc import Mapping
from functools import lru_cache

from serve.codec.tensor import serialize
from tfx_export import wire
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.tensor import Array
from tfx_export.savedmodel.varint import length_prefix

# `outputs` is a map: each entry a message of its own, with a key and a value. Tag numbers as in predict.proto.
_ENTRY, _KEY, _VALUE = b"\x0a", b"\x0a", b"\x12"


def predict_response(
    model: str, version: int, signature: Signature, outputs: Mapping[str, Array], *, as_content: bool = False
) -> bytes:
    """The answer of that version. UNIMPLEMENTED for an output that no tensor can hold."""
    parts = [_spec(model, version, signature.name)]
    for name, array in outputs.items():
        tensor = serialize(array, as_content=as_content, dtype=signature.outputs[name].dtype)
        key, value_length = _key(name), length_prefix(len(tensor))
        length = length_prefix(len(key) + len(value_length) + len(tensor))
        parts += (_ENTRY, length, key, value_length, tensor)
    return b"".join(parts)


@lru_cache(1024)
def _spec(model: str, version: int, signature: str) -> bytes:
    response = wire.PredictResponse()
    response.model_spec.name = model
    response.model_spec.version.value = version
    response.model_spec.signature_name = signature
    serialized: bytes = response.SerializeToString()
    return serialized


@lru_cache(1024)
def _key(name: str) -> bytes:
    """The key of an entry, and the tag of its value."""
    key = name.encode()
    return b"".join((_KEY, length_prefix(len(key)), key, _VALUE))
