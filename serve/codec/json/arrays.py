"""Converts nested lists, as parsed from JSON, to arrays: level by level, and value by value only to find a fault."""

import base64
import binascii
import re
from itertools import chain
from typing import Any, TypeGuard

import numpy as np

from serve.codec.json import text as json_text
from serve.errors import Code, ServeError, invalid_argument
from tfx_export.json_value import JsonValue
from tfx_export.savedmodel.dtypes import input_dtype, numpy_dtype, type_string
from tfx_export.savedmodel.tensor import Array

MAX_DEPTH = 128
# The most dimensions of a NumPy array.
MAX_RANK = 64

# The dtypes of JSON numbers. TensorFlow Serving reads small integers as 32 bits and then truncates them as C does.
FLOATS = {"DT_FLOAT", "DT_DOUBLE", "DT_HALF", "DT_BFLOAT16"}
INTEGERS: dict[str, type[np.integer]] = {
    "DT_INT32": np.int32, "DT_INT16": np.int32, "DT_INT8": np.int32, "DT_UINT8": np.int32, "DT_UINT16": np.int32,
    "DT_INT64": np.int64, "DT_UINT32": np.uint32, "DT_UINT64": np.uint64,
}  # fmt: skip
# The dtypes that have a JSON form.
JSON_DTYPES = frozenset({*FLOATS, *INTEGERS, "DT_BOOL", "DT_STRING"})


def to_array(value: JsonValue, dtype: str, max_depth: int = MAX_DEPTH) -> Array:
    """Returns a value, or nested lists of values, as an array of `dtype` (`DT_FLOAT`).

    Raises ServeError INVALID_ARGUMENT for ragged lists and values of another type, UNIMPLEMENTED for a dtype that has
    no JSON form.
    """
    flat = _flatten(value, max_depth)
    array = flat and _convert(flat[1], dtype)
    if flat is None or array is None:
        _check_value(value, _leading_shape(value, max_depth), 0, dtype)
        raise invalid_argument(f"JSON Value: {json_text.quote(value)} is not a tensor of type {type_string(dtype)}")
    return array.reshape(flat[0])


def rows_to_array(rows: list[JsonValue], dtype: str, max_depth: int = MAX_DEPTH) -> Array:
    """Returns `rows`, which have the same shape, as an array `[rows, ...]`.

    Raises the errors of `to_array` as a RowError of the first row with a fault.
    """
    flat = _flatten(rows, max_depth + 1)
    array = flat and _convert(flat[1], dtype)
    if flat is None or array is None:
        for index, row in enumerate(rows):
            try:
                shape = _leading_shape(row, max_depth)
                _check_value(row, shape, 0, dtype)
                _check_same_shape(_leading_shape(rows[0], max_depth), shape)
            except ServeError as error:
                raise RowError(index, error) from None
        raise invalid_argument(f"JSON Value: {json_text.quote(rows)} is not a tensor of type {type_string(dtype)}")
    return array.reshape(flat[0])


class RowError(ServeError):
    """A fault in the row `index`."""

    def __init__(self, index: int, error: ServeError) -> None:
        super().__init__(error.code, error.message)
        self.index = index


def is_base64(value: object) -> TypeGuard[dict[str, str]]:
    """Whether `value` is an object that represents bytes: `{"b64": "..."}`."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def decode_base64(value: dict[str, str]) -> bytes:
    """Returns the bytes of a `{"b64": "..."}`. Padding may be missing; white space is ignored."""
    text = value["b64"]
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        unspaced = re.sub(r"\s", "", text)
        stripped = unspaced.rstrip("=.")
        padding = -len(stripped) % 4
        if len(unspaced) - len(stripped) in (0, padding):
            try:
                return base64.b64decode(stripped + "=" * padding, validate=True)
            except (ValueError, binascii.Error):
                pass
    raise invalid_argument("Unable to base64 decode")


def _flatten(value: JsonValue, max_depth: int) -> tuple[list[int], list[JsonValue]] | None:
    """Returns the shape and the values; None if the lists are ragged."""
    shape: list[int] = []
    level: list[Any] = [value]
    while level:
        types = set(map(type, level))
        if list not in types:
            break
        sizes = set(map(len, level)) if types == {list} else ()
        if len(sizes) != 1:
            return None
        shape.extend(sizes)
        _check_depth(shape, max_depth)
        level = list(chain.from_iterable(level))
    return shape, level


def _convert(values: list[JsonValue], dtype: str) -> Array | None:
    """Returns the values as an array; None if a value has another type."""
    types = set(map(type, values))
    if dtype in FLOATS:
        if not types <= {float, int}:
            return None
        with np.errstate(over="ignore"):
            return np.array(values, np.float64).astype(numpy_dtype(dtype))
    if dtype in INTEGERS:
        try:
            return np.array(values, INTEGERS[dtype]).astype(numpy_dtype(dtype)) if types <= {int} else None
        except OverflowError:
            return None
    if dtype == "DT_BOOL":
        return np.array(values, np.bool_) if types <= {bool} else None
    if dtype == "DT_STRING" and types <= {str, dict}:
        return _strings(values, types)
    return None if values else np.empty(0, input_dtype(dtype))


def _strings(values: list[Any], types: set[type]) -> Array | None:
    strings = np.empty(len(values), np.object_)
    if dict not in types:
        strings[:] = [text.encode("utf-8", "surrogateescape") for text in values]
        return strings
    if not all(type(value) is str or is_base64(value) for value in values):
        return None
    strings[:] = [
        value.encode("utf-8", "surrogateescape") if type(value) is str else decode_base64(value) for value in values
    ]
    return strings


def _leading_shape(value: JsonValue, max_depth: int) -> list[int]:
    """Returns the shape that the first element of each level has."""
    shape: list[int] = []
    while type(value) is list:
        shape.append(len(value))
        _check_depth(shape, max_depth)
        if not value:
            break
        value = value[0]
    return shape


def _check_value(value: JsonValue, shape: list[int], level: int, dtype: str) -> None:
    """Raises the error of the first fault in `value`. Recurses at most `len(shape)` levels deep."""
    if type(value) is not list:
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {json_text.quote(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        _check_scalar(value, dtype)
        return
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        _check_value(element, shape, level + 1, dtype)


def _check_scalar(value: JsonValue, dtype: str) -> None:
    if type(value) is dict and dtype == "DT_STRING":
        if not is_base64(value):
            raise invalid_argument(f"JSON Value: {json_text.quote(value)} not formatted correctly for base64 data")
        decode_base64(value)
    elif type(value) is not dict and dtype not in JSON_DTYPES:
        raise ServeError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {json_text.quote(value)} to type: {type_string(dtype)}"
        )
    elif _convert([value], dtype) is None:
        raise invalid_argument(
            f"JSON Value: {json_text.quote(value)} Type: {json_text.type_name(value)} "
            f"is not of expected type: {type_string(dtype)}"
        )


def _check_depth(shape: list[int], max_depth: int) -> None:
    deepest = min(max_depth, MAX_RANK)
    if len(shape) > deepest:
        raise invalid_argument(f"JSON Value is nested more than {deepest} levels deep")


def _check_same_shape(expected: list[int], shape: list[int]) -> None:
    expected_size, size = int(np.prod(expected)), int(np.prod(shape))
    if expected_size != size:
        raise invalid_argument(f"Expecting tensor size: {expected_size} but got: {size}")
    if expected != shape:
        raise invalid_argument(f"Expecting shape {_shape_text(expected)} but got: {_shape_text(shape)}")


def _shape_text(shape: list[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
