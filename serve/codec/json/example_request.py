"""Reads the JSON of classify and regress requests: `examples` and their shared `context` -> serialized tf.Examples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve.codec.json import text as json_text
from serve.codec.json.arrays import decode_base64, is_base64
from serve.codec.json.parse import as_python
from serve.codec.json.predict_request import JsonRequest
from serve.errors import invalid_argument
from tfx_export import wire
from tfx_export.json_value import JsonValue

_KINDS: dict[type, str] = {str: "bytes", dict: "bytes", float: "float", int: "int64", bool: "int64"}


def read_examples(request: JsonRequest) -> NDArray[np.object_]:
    """Returns serialized examples, `[examples]`. A feature of an example replaces that of the context.

    A number is a float feature if it is written with a point or an exponent, else an int64 feature. Raises ServeError
    INVALID_ARGUMENT with TensorFlow Serving's text.
    """
    context = b""
    if "context" in request:
        context = _example(as_python(request.document["context"]))
    if "examples" not in request:
        request.fail("When method is classify, key 'examples' is expected and was not found")
    examples = as_python(request.document["examples"])
    if type(examples) is not list:
        request.fail("Expecting 'examples' value to be an list/array")
    if not examples:
        request.fail("'examples' value is an empty array")
    serialized = np.empty(len(examples), np.object_)
    # Protobuf merges messages whose bytes are concatenated.
    serialized[:] = [context + _example(example) for example in examples]
    return serialized


def _example(value: JsonValue) -> bytes:
    if type(value) is not dict:
        raise invalid_argument(f"Example must be JSON object but got JSON {json_text.type_name(value)}")
    example = wire.Example()
    features = example.features.feature
    for name, content in value.items():
        key = name.encode("utf-8", "replace").decode()
        _fill(features[key], name, content if type(content) is list else [content])
    serialized: bytes = example.SerializeToString()
    return serialized


def _fill(feature: wire.Feature, name: str, values: list[Any]) -> None:
    kinds = {_KINDS.get(kind) for kind in set(map(type, values))}
    if len(kinds) == 1 and None not in kinds:
        kind = kinds.pop()
        if kind == "bytes":
            feature.bytes_list.value.extend([_bytes(name, value) for value in values])
            return
        if kind == "float":
            feature.float_list.value.extend(values)
            return
        try:
            feature.int64_list.value.extend(map(int, values))  # protobuf does not accept bool
        except ValueError:
            raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.") from None
        return
    _refuse(name, values)


def _bytes(name: str, value: JsonValue) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if not is_base64(value):
        raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: Object")
    return decode_base64(value)


def _refuse(name: str, values: list[JsonValue]) -> None:
    """Raises the error of the first value that does not fit. An empty list is a feature without values."""
    expected = None
    for value in values:
        kind = _KINDS.get(type(value))
        if kind is None or (type(value) is dict and not is_base64(value)):
            raise invalid_argument(
                f"Feature: {name} has element with unexpected JSON type: {json_text.type_name(value)}"
            )
        expected = expected or kind
        if kind != expected:
            raise invalid_argument(f"Unexpected element type in feature: {name} expecting type: {expected}")
