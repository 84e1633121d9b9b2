"""Nested JSON lists -> ndarray. Works level by level on whole lists; only a fault is looked for value by value."""

import base64
import binascii
import re
from itertools import chain
from typing import Any

import numpy as np

from serve.codec.json import text as json_text
from serve.errors import Code, ServeError
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.tensor import Array

MAX_DEPTH = 128

_FLOATS = {"DT_FLOAT", "DT_DOUBLE", "DT_HALF", "DT_BFLOAT16"}
# Upstream reads the small integers as 32 bits, and cuts them to size as C does.
_INTEGERS = {
    "DT_INT32": np.int32, "DT_INT16": np.int32, "DT_INT8": np.int32, "DT_UINT8": np.int32, "DT_UINT16": np.int32,
    "DT_INT64": np.int64, "DT_UINT32": np.uint32, "DT_UINT64": np.uint64,
}  # fmt: skip


def dense(value: Any, dtype: str, max_depth: int = MAX_DEPTH) -> Array:
    """A value, or lists of equal length nested in one another, as an array of `dtype` (`DT_FLOAT`).

    Raises ServeError INVALID_ARGUMENT for ragged lists and values of another type, UNIMPLEMENTED for a dtype that has
    no JSON form.
    """
    flat = _flatten(value, max_depth)
    array = flat and _convert(flat[1], dtype)
    if flat is None or array is None:
        _check(value, _leading_shape(value, max_depth), 0, dtype)
        raise _invalid(f"JSON Value: {json_text.quote(value)} is no tensor of type {type_string(dtype)}")
    return array.reshape(flat[0])


def dense_rows(rows: list[Any], dtype: str, max_depth: int = MAX_DEPTH) -> Array:
    """`rows` of one shape as an array with one dimension more, the first. The ServeError is that of the first fault.

    Raises as `dense` does; see `RowError`.
    """
    flat = _flatten(rows, max_depth + 1)
    array = flat and _convert(flat[1], dtype)
    if flat is None or array is None:
        for index, row in enumerate(rows):
            try:
                shape = _leading_shape(row, max_depth)
                _check(row, shape, 0, dtype)
                _check_alike(_leading_shape(rows[0], max_depth), shape)
            except ServeError as error:
                raise RowError(index, error) from None
        raise _invalid(f"JSON Value: {json_text.quote(rows)} is no tensor of type {type_string(dtype)}")
    return array.reshape(flat[0])


class RowError(ServeError):
    """A fault in one row: `index` says which."""

    def __init__(self, index: int, error: ServeError) -> None:
        super().__init__(error.code, error.message)
        self.index = index


def is_base64(value: Any) -> bool:
    """Whether `value` is an object that stands for bytes: `{"b64": "..."}`."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def decode_base64(value: dict[str, str]) -> bytes:
    """The bytes of a `{"b64": "..."}`; padding may be missing, white space is ignored."""
    text = value["b64"]
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        bare = re.sub(r"\s", "", text)
        stripped = bare.rstrip("=.")
        padding = -len(stripped) % 4
        if len(bare) - len(stripped) in (0, padding):
            try:
                return base64.b64decode(stripped + "=" * padding, validate=True)
            except (ValueError, binascii.Error):
                pass
    raise _invalid("Unable to base64 decode")


def type_string(dtype: str) -> str:
    """`DT_FLOAT` -> `float`, as messages name it."""
    return dtype.removeprefix("DT_").lower()


def _flatten(value: Any, max_depth: int) -> tuple[list[int], list[Any]] | None:
    """The shape and the leaves; None if the lists are ragged."""
    shape: list[int] = []
    level = [value]
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


def _convert(leaves: list[Any], dtype: str) -> Array | None:
    """The leaves as an array; None if one is not of the type."""
    types = set(map(type, leaves))
    if dtype in _FLOATS:
        if not types <= {float, int}:
            return None
        with np.errstate(over="ignore"):
            return np.array(leaves, np.float64).astype(numpy_dtype(dtype))
    if dtype in _INTEGERS:
        try:
            return np.array(leaves, _INTEGERS[dtype]).astype(numpy_dtype(dtype)) if types <= {int} else None
        except OverflowError:
            return None
    if dtype == "DT_BOOL":
        return np.array(leaves, np.bool_) if types <= {bool} else None
    if dtype == "DT_STRING" and types <= {str, dict}:
        return _strings(leaves, types)
    return None if leaves else np.empty(0, numpy_dtype(dtype))


def _strings(leaves: list[Any], types: set[type]) -> Array | None:
    strings = np.empty(len(leaves), np.object_)
    if dict not in types:
        strings[:] = [text.encode("utf-8", "surrogateescape") for text in leaves]
        return strings
    if not all(type(leaf) is str or is_base64(leaf) for leaf in leaves):
        return None
    strings[:] = [
        leaf.encode("utf-8", "surrogateescape") if type(leaf) is str else decode_base64(leaf) for leaf in leaves
    ]
    return strings


def _leading_shape(value: Any, max_depth: int) -> list[int]:
    """The shape as the first elements show it."""
    shape: list[int] = []
    while type(value) is list:
        shape.append(len(value))
        _check_depth(shape, max_depth)
        if not value:
            break
        value = value[0]
    return shape


def _check(value: Any, shape: list[int], level: int, dtype: str) -> None:
    """Raise the error of the first fault in `value`. Recurses no deeper than `shape` is long."""
    if type(value) is not list:
        if level != len(shape):
            raise _invalid(
                f"JSON Value: {json_text.quote(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        _check_leaf(value, dtype)
        return
    if level >= len(shape):
        raise _invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise _invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        _check(element, shape, level + 1, dtype)


def _check_leaf(value: Any, dtype: str) -> None:
    if type(value) is dict and dtype == "DT_STRING":
        if not is_base64(value):
            raise _invalid(f"JSON Value: {json_text.quote(value)} not formatted correctly for base64 data")
        decode_base64(value)
    elif type(value) is not dict and dtype not in (*_FLOATS, *_INTEGERS, "DT_BOOL", "DT_STRING"):
        raise ServeError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {json_text.quote(value)} to type: {type_string(dtype)}"
        )
    elif _convert([value], dtype) is None:
        raise _invalid(
            f"JSON Value: {json_text.quote(value)} Type: {json_text.type_name(value)} "
            f"is not of expected type: {type_string(dtype)}"
        )


def _check_depth(shape: list[int], max_depth: int) -> None:
    if len(shape) > max_depth:
        raise _invalid(f"JSON Value is nested more than {max_depth} levels deep")


def _check_alike(expected: list[int], shape: list[int]) -> None:
    expected_size, size = int(np.prod(expected)), int(np.prod(shape))
    if expected_size != size:
        raise _invalid(f"Expecting tensor size: {expected_size} but got: {size}")
    if expected != shape:
        raise _invalid(f"Expecting shape {_bracketed(expected)} but got: {_bracketed(shape)}")


def _bracketed(shape: list[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def _invalid(message: str) -> ServeError:
    return ServeError(Code.INVALID_ARGUMENT, message)
