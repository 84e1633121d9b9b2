"""JSON text that orjson does not write: bare NaN, strings that are not valid UTF-8, values quoted in messages."""

import json
from collections.abc import Iterator

import numpy as np
import orjson

# The number of characters of a value that a message quotes.
MAX_QUOTED = 256


def string(text: str) -> bytes:
    """Returns a JSON string. Lone surrogates become the bytes that they represent (`surrogateescape`)."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")


def number(value: float | np.floating) -> bytes:
    """Returns the shortest JSON number for the type of `value`; NaN, Infinity and -Infinity are bare words."""
    if np.isfinite(value):
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"NaN" if np.isnan(value) else b"Infinity" if value > 0 else b"-Infinity"


def error(message: str) -> bytes:
    """Returns the response body of a failed request."""
    return b'{\n    "error": ' + string(message) + b"\n}"


def quote(value: object, limit: int = MAX_QUOTED) -> str:
    """Returns `value` for a message, in TensorFlow Serving's layout, cut soon after `limit` characters."""
    quoted = ""
    for piece in _pieces(value, 0):
        if len(quoted) >= limit:
            break
        quoted += piece
    return quoted


def _pieces(value: object, level: int) -> Iterator[str]:
    if isinstance(value, list):
        yield "["
        for index, element in enumerate(value):
            if index:
                yield ", "
            yield from _pieces(element, level + 1)
        yield "]"
    elif isinstance(value, dict):
        yield "{"
        separator = "\n"
        for name, member in value.items():
            yield separator + "    " * (level + 1) + json.dumps(name, ensure_ascii=False) + ": "
            yield from _pieces(member, level + 1)
            separator = ",\n"
        yield "\n" + "    " * level + "}" if value else "}"
    else:
        yield json.dumps(value, ensure_ascii=False)


def type_name(value: object) -> str:
    """Returns the name of the JSON type of a Python value in messages."""
    if value is None or isinstance(value, bool):
        return "Null" if value is None else str(value)
    names: dict[type, str] = {list: "Array", dict: "Object", str: "String"}
    return names.get(type(value), "Number")
