"""Reads the signatures that older converters wrote to the metadata of a `model.tflite`, as TensorFlow Serving does."""

import struct
from typing import Any

from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.savedmodel.signature import Signature

_NAME = b"signature_defs_metadata"


def signatures_in(content: bytes) -> dict[str, Signature]:
    """Returns the signatures by name; empty if there are none. Raises ValueError if they cannot be read."""
    # Most files have no such metadata, and the schema's module is large.
    if _NAME not in content:
        return {}
    from ai_edge_litert.schema_py_generated import Model
    from flatbuffers import flexbuffers

    model: Any = Model.GetRootAs(content)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == _NAME:
            try:
                stored = flexbuffers.GetRoot(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()).AsMap
                pairs = zip(stored.Keys, stored.Values, strict=True)
                return {
                    key.AsKey: Signature.from_proto(key.AsKey, wire.SignatureDef.FromString(value.AsStringBytes))
                    for key, value in pairs
                }
            except (AttributeError, IndexError, TypeError, ValueError, struct.error, DecodeError) as error:
                raise ValueError(f"Invalid SignatureDefs found in TfLite model: {error}") from None
    return {}
