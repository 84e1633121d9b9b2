"""Pieces of JSON text that orjson does not write: bare NaN, strings that are no UTF-8, values quoted in messages."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

# How much of a value a message quotes.
QUOTED = 256


def string(text: str) -> bytes:
    """A JSON string; lone surrogates become the bytes they stand for (`surrogateescape`)."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")


def number(value: float | np.floating) -> bytes:
    """A JSON number, shortest for its type; NaN, Infinity and -Infinity are bare words."""
    if np.isfinite(value):
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"NaN" if np.isnan(value) else b"Infinity" if value > 0 else b"-Infinity"


def error(message: str) -> bytes:
    """The body of every failed request."""
    return b'{\n    "error": ' + string(message) + b"\n}"


def quote(value: Any, limit: int = QUOTED) -> str:
    """`value` for a message, laid out as upstream does, cut soon after `limit` characters."""
    quoted = ""
    for piece in _pieces(value, 0):
        if len(quoted) >= limit:
            break
        quoted += piece
    return quoted


def _pieces(value: Any, level: int) -> Iterator[str]:
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


def type_name(value: Any) -> str:
    """The JSON type of a Python value, as messages name it."""
    if value is None or isinstance(value, bool):
        return "Null" if value is None else str(value)
    names: dict[type, str] = {list: "Array", dict: "Object", str: "String"}
    return names.get(type(value), "Number")
