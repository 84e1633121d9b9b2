"""JSON bytes -> Python values or simdjson's view of them, by the quickest reader that takes them.

simdjson reads plain JSON, the standard library adds NaN, Infinity and bytes that are not UTF-8, and
serve.codec.json.parse_lenient
does the rest. Strings are text in which bytes that are no UTF-8 stand as lone surrogates (`surrogateescape`).
"""

import json
from typing import Any

import simdjson

from serve.codec.json import parse_lenient as json_exact
from serve.errors import Code, ServeError

# What the standard library reads otherwise than upstream: escaped surrogates, numbers beyond 64 bits. Looked for in
# the body after every digit has become 0.
_SUBTLE = (b"\\ud", b"e000", b"0" * 19)
_ALIKE = bytes.maketrans(b"123456789DE", b"000000000de")
_DECODER = json.JSONDecoder()


def parse(body: bytes) -> Any:
    """The document: a `simdjson.Object` or `simdjson.Array`, or Python values. Whatever follows it is ignored.

    Raises ServeError INVALID_ARGUMENT with upstream's text for what is no JSON.
    """
    if not body:
        raise ServeError(Code.INVALID_ARGUMENT, "JSON Parse error: The document is empty")
    try:
        return simdjson.Parser().parse(body)
    except (ValueError, RuntimeError):  # broken, or beyond plain JSON: nesting, NaN, invalid UTF-8
        return _parse_unusual(body)


def as_python(value: Any) -> Any:
    """Lists, dicts, strings and numbers for what `parse` returned, or a part of it."""
    if isinstance(value, simdjson.Array):
        return value.as_list()
    return value.as_dict() if isinstance(value, simdjson.Object) else value


def _parse_unusual(body: bytes) -> Any:
    alike = body.translate(_ALIKE, b"+")
    if not any(mark in alike for mark in _SUBTLE):
        try:
            text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff").lstrip(" \t\n\r")
            return _DECODER.raw_decode(text)[0]
        except (ValueError, RecursionError):
            pass
    return json_exact.parse(body)
