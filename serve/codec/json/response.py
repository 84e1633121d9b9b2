"""Writes the JSON of responses with orjson, which writes numpy arrays without converting them to Python numbers."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serve.codec.json import text as json_text
from serve.errors import invalid_argument
from tfx_export.savedmodel.dtypes import from_numpy, type_string
from tfx_export.savedmodel.tensor import Array

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_NUMERIC = "biuf"


def predictions(outputs: Mapping[str, Array], row_format: bool) -> bytes:
    """Returns the body of a predict response: `predictions`, one item for each row, or `outputs`, the whole batch.

    A single output is written without its name, several outputs as objects with their names. Outputs named `*_bytes`
    are written as `{"b64": ...}`. Raises ServeError INVALID_ARGUMENT for outputs without rows, outputs with different
    numbers of rows, and dtypes without a JSON form.
    """
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    key = b"predictions" if row_format else b"outputs"
    if row_format:
        _check_rows(outputs)
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        is_plain = array.ndim and _is_number(array.dtype)
        return _wrapped(key, _numbers(array)) if is_plain else _body(key, _json(name, array))
    if not row_format:
        return _body(key, {name: _json(name, array) for name, array in outputs.items()})
    columns = [_rows(name, array) for name, array in outputs.items()]
    return _body(key, [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)])


def classification(labels: NDArray[np.object_] | None, scores: NDArray[np.float32] | None) -> bytes:
    """Returns the body of a classify response: for each example a list of [label, score].

    The arrays have the shape `[examples, classes]`.
    """
    if scores is None:
        assert labels is not None
        scores = np.zeros(labels.shape, np.float32)
    if labels is None:
        labels = np.full(scores.shape, b"", np.object_)
    results = [
        [[_text(label), orjson.Fragment(json_text.number(score))] for label, score in zip(*row, strict=True)]
        for row in zip(labels, scores, strict=True)
    ]
    return _body(b"results", results)


def regression(values: NDArray[np.float32]) -> bytes:
    """Returns the body of a regress response: one number for each example."""
    return _body(b"results", _json("", values))


def _body(key: bytes, value: object) -> bytes:
    return _wrapped(key, orjson.dumps(value, option=_OPTIONS))


def _wrapped(key: bytes, written: bytes) -> bytes:
    return b'{\n    "%b": %b\n}' % (key, written)


def _check_rows(outputs: Mapping[str, Array]) -> None:
    sizes: dict[str, int] = {}
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        sizes[name] = len(array)
        expected = next(iter(sizes.values()))
        if len(array) != expected:
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {expected}"
            )


def _rows(name: str, array: Array) -> list[object]:
    """Returns the rows of an output as values that orjson writes."""
    if _is_number(array.dtype) and (array.dtype.kind != "f" or np.isfinite(array).all()):
        return list(_native(array))
    return [_json(name, row) for row in array]


def _json(name: str, value: object) -> object:
    """Returns an array, or a scalar that is a row of an array, as a value that orjson writes."""
    array = np.asarray(value) if not isinstance(value, bytes) else _scalar(value)
    kind = array.dtype.kind
    if kind in "OSU":
        write = _base64 if name.endswith("_bytes") else _text
        return _nested(write, array.tolist(), array.ndim)
    if kind == "V" and array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
        kind = "f"
    if not _is_number(array.dtype):
        raise invalid_argument(f"Failed to write JSON value for tensor type: {type_string(from_numpy(array.dtype))}")
    if not array.ndim:
        return array[()] if kind != "f" or np.isfinite(array) else orjson.Fragment(json_text.number(array.item()))
    return orjson.Fragment(_numbers(array))


def _is_number(dtype: np.dtype[Any]) -> bool:
    # 2: a dtype of ml_dtypes, of which float8_e5m2 has the kind of numpy's floats.
    return dtype.kind in _NUMERIC and dtype.isbuiltin != 2


def _numbers(array: Array) -> bytes:
    """Returns the JSON of an array of numbers or booleans of rank 1 or more."""
    try:
        written = orjson.dumps(array, option=_OPTIONS)
    except TypeError:  # another byte order, or not contiguous
        written = orjson.dumps(_native(array), option=_OPTIONS)
    # In an array of numbers, orjson writes NaN and the infinities as null, and nothing else.
    return _replace_nulls(written, array) if b"null" in written else written


def _native(array: Array) -> Array:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _scalar(value: bytes) -> Array:
    array = np.empty((), np.object_)
    array[()] = value
    return array


def _replace_nulls(written: bytes, array: Any) -> bytes:
    """Replaces each null in `written` by NaN, Infinity or -Infinity, as `array` has it."""
    values = array[~np.isfinite(array)]
    words = np.where(np.isnan(values), b"NaN", np.where(values > 0, b"Infinity", b"-Infinity")).tolist()
    return b"".join(part for pair in zip(written.split(b"null"), [*words, b""], strict=True) for part in pair)


def _nested(write: Callable[[bytes], object], value: Any, depth: int) -> object:
    if depth:
        return [_nested(write, element, depth - 1) for element in value]
    return write(value.encode() if isinstance(value, str) else value)


def _text(value: bytes | str) -> str | orjson.Fragment:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return orjson.Fragment(json_text.string(value.decode("utf-8", "surrogateescape")))


def _base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}
