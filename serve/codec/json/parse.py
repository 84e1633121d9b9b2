"""Parses JSON bytes into Python values or simdjson's view of them, with the fastest parser that accepts the document.

The package docstring says which parsers there are. In strings, bytes that are not valid UTF-8 are lone surrogates
(`surrogateescape`).
"""

import json
from typing import TypeAlias

import simdjson

from serve.codec.json import parse_lenient
from serve.errors import invalid_argument
from tfx_export.json_value import JsonValue

# Text that the standard library reads differently from TensorFlow Serving: escaped surrogates, and numbers beyond the
# range of 64 bits. They are searched in the body after _MASK has turned every digit into 0 and D and E into d and e.
_DIFFERENT_IN_JSON_MODULE = (b"\\ud", b"e000", b"0" * 19)
_MASK = bytes.maketrans(b"123456789DE", b"000000000de")
_DECODER = json.JSONDecoder()

# simdjson's view of a JSON value, or the value itself.
Document: TypeAlias = "simdjson.Object | simdjson.Array | JsonValue"


def parse(body: bytes) -> Document:
    """Returns the document: a `simdjson.Object`, a `simdjson.Array`, or Python values. Ignores anything after it.

    Raises ServeError INVALID_ARGUMENT with TensorFlow Serving's text if the body is not JSON.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        return simdjson.Parser().parse(body)
    except (ValueError, RuntimeError):  # broken, or not plain JSON: deep nesting, NaN, invalid UTF-8
        return _parse_extended(body)


def as_python(value: Document) -> JsonValue:
    """Returns the lists, dicts, strings and numbers of a document that `parse` returned, or of a part of it."""
    if isinstance(value, simdjson.Array):
        return value.as_list()
    return value.as_dict() if isinstance(value, simdjson.Object) else value


def _parse_extended(body: bytes) -> JsonValue:
    masked = body.translate(_MASK, b"+")
    if not any(mark in masked for mark in _DIFFERENT_IN_JSON_MODULE):
        try:
            text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff").lstrip(" \t\n\r")
            document: JsonValue = _DECODER.raw_decode(text)[0]
            return document
        except (ValueError, RecursionError):
            pass
    return parse_lenient.parse(body)
