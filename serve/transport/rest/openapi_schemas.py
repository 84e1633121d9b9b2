"""JSON schemas of request bodies, made from signatures: every body that a signature can take is valid.

The shapes of lists are not part of the schemas: a declared shape is a hint, and a graph may take others.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import TypeAlias

import numpy as np

from serve.codec.json.arrays import FLOATS, INTEGERS, JSON_DTYPES
from tfx_export.savedmodel.dtypes import type_string
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature, TensorSpec, shape_text
from tfx_export.savedmodel.string_inputs import Feature

Schema: TypeAlias = dict[str, object]

_BASE64: Schema = {
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "required": ["b64"],
    "additionalProperties": False,
}
_BYTES: Schema = {"$ref": "#/components/schemas/bytes"}
_ANY_FEATURE: Schema = {"$ref": "#/components/schemas/feature"}


def _integers(dtype: type[np.integer]) -> Schema:
    limits = np.iinfo(dtype)
    return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}


def _scalar(dtype: str) -> Schema:
    if dtype in FLOATS:
        return {"type": "number"}
    if dtype in INTEGERS:
        return _integers(INTEGERS[dtype])
    return {"type": "boolean"} if dtype == "DT_BOOL" else _BYTES


def _tensor_schema(dtype: str) -> Schema:
    name = type_string(dtype)
    return {
        "description": f"A {name}, or a list of tensors of equal shapes",
        "anyOf": [_scalar(dtype), {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}],
    }


def _feature_of_any_kind() -> Schema:
    kinds: Sequence[Schema] = ({"type": "number"}, {"type": "boolean"}, _BYTES)
    lists = [{"type": "array", "items": kind} for kind in kinds]
    return {"description": "A feature that the graph may not read", "anyOf": [*kinds, *lists]}


# The schemas that others refer to: tensors of each dtype that has a JSON form, text or bytes, and other features.
COMPONENTS: dict[str, Schema] = {
    **{type_string(dtype): _tensor_schema(dtype) for dtype in sorted(JSON_DTYPES)},
    "bytes": {"anyOf": [{"type": "string"}, _BASE64]},
    "feature": _feature_of_any_kind(),
}
# The values of features by dtype. A whole number without a point is an integer.
_FLOAT_FEATURE: Schema = {"type": "number", "description": "written with a point or an exponent"}
_FEATURE_VALUES: dict[str, Schema] = {
    "DT_STRING": _BYTES,
    "DT_INT64": {"anyOf": [_integers(np.int64), {"type": "boolean"}]},
}


def is_json(signature: Signature) -> bool:
    """Whether JSON can hold the inputs and outputs of a signature, and there are inputs."""
    specs = [*signature.inputs.values(), *signature.outputs.values()]
    return bool(signature.inputs) and all(spec.encoding == "dense" and spec.dtype in JSON_DTYPES for spec in specs)


def predict_schema(signature: Signature) -> Schema:
    """Returns the schema of a predict request: row format, then columnar format."""
    values = {name: _tensor(spec) for name, spec in signature.inputs.items()}
    row: Schema = {**_object(values), "additionalProperties": False}
    column = _object(values)
    if len(values) == 1:
        (value,) = values.values()
        row, column = {"anyOf": [value, row]}, {"anyOf": [value, column]}
    rows = {"type": "array", "items": row, "minItems": 1}
    return _named(
        signature,
        {
            "oneOf": [
                {**_object({"instances": rows}), "title": "row format", "not": {"required": ["inputs"]}},
                {**_object({"inputs": column}), "title": "columnar format", "not": {"required": ["instances"]}},
            ]
        },
    )


def examples_schema(signature: Signature, features: Mapping[str, Feature] | None) -> Schema:
    """Returns the schema of a classify or regress request. `features`: None if the graph does not show them."""
    values = {name: _feature(feature) for name, feature in (features or {}).items()}
    example: Schema = {"type": "object", "properties": values, "additionalProperties": _ANY_FEATURE}
    required = [name for name, feature in (features or {}).items() if feature.required]
    # The features of an example replace those of the context, whatever these hold.
    context: Schema = {"type": "object", "additionalProperties": _ANY_FEATURE}
    body = _object({"examples": {"type": "array", "items": example, "minItems": 1}}, {"context": context})
    if required:
        body["allOf"] = [_example_or_context(name) for name in required]
    return _named(signature, body)


def _example_or_context(feature: str) -> Schema:
    """A required feature is in every example or in the context."""
    required = {"required": [feature]}
    return {
        "anyOf": [
            {"properties": {"examples": {"items": required}}},
            {"properties": {"context": required}, "required": ["context"]},
        ]
    }


def _named(signature: Signature, schema: Schema) -> Schema:
    """Adds the name of the signature, which is required unless it is the default one."""
    is_default = signature.name == DEFAULT_SIGNATURE
    name: Schema = {"enum": [signature.name, ""]} if is_default else {"const": signature.name}
    named = _object({}, {"signature_name": name}) if is_default else _object({"signature_name": name})
    return {"title": signature.name, "allOf": [named, schema]}


def _object(required: Mapping[str, object], optional: Mapping[str, object] | None = None) -> Schema:
    return {"type": "object", "properties": {**(optional or {}), **required}, "required": list(required)}


def _tensor(spec: TensorSpec) -> Schema:
    name = type_string(spec.dtype)
    return {"$ref": f"#/components/schemas/{name}", "description": f"{name}, {shape_text(spec.shape)}"}


def _feature(feature: Feature) -> Schema:
    value = _FEATURE_VALUES.get(feature.dtype, _FLOAT_FEATURE)
    if feature.shape is None or None in feature.shape[:1]:
        return _one_or_list(value)
    count = prod(1 if size is None else size for size in feature.shape)
    # An empty list is a feature without values, as if it were missing.
    values: Schema = {
        "type": "array",
        "items": value,
        "anyOf": [{"minItems": count, "maxItems": count}, {"maxItems": 0}],
    }
    return {"anyOf": [value, values]} if count == 1 else values


def _one_or_list(value: Schema) -> Schema:
    return {"anyOf": [value, {"type": "array", "items": value}]}
