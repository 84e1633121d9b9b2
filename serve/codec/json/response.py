"""The JSON of an answer: arrays written by orjson, which makes no Python number of a numpy one."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serve.codec.json import text as json_text
from serve.codec.json.arrays import type_string
from serve.errors import Code, ServeError
from tfx_export.savedmodel.dtypes import from_numpy
from tfx_export.savedmodel.tensor import Array

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_NUMERIC = "biuf"


def predictions(outputs: Mapping[str, Array], row_format: bool) -> bytes:
    """The body of an answer to predict: `predictions`, a list with one item a row, or `outputs`, one value an output.

    One output is bare, several are objects by name. Outputs named `*_bytes` are `{"b64": ...}`. Raises ServeError
    INVALID_ARGUMENT for outputs that have no rows, or not the same number, and for dtypes without a JSON form.
    """
    if not outputs:
        raise _invalid("Cannot convert empty tensor map to JSON")
    key = b"predictions" if row_format else b"outputs"
    if row_format:
        _check_rows(outputs)
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        is_plain = array.ndim and array.dtype.kind in _NUMERIC
        return _wrapped(key, _numbers(array)) if is_plain else _body(key, _json(name, array))
    if not row_format:
        return _body(key, {name: _json(name, array) for name, array in outputs.items()})
    columns = [_rows(name, array) for name, array in outputs.items()]
    return _body(key, [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)])


def classification(labels: NDArray[np.object_] | None, scores: NDArray[np.float32] | None) -> bytes:
    """The body of an answer to classify, from arrays [examples, classes]: for each example a list of [label, score]."""
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
    """The body of an answer to regress: one number for each example."""
    return _body(b"results", _json("", values))


def _body(key: bytes, value: Any) -> bytes:
    return _wrapped(key, orjson.dumps(value, option=_OPTIONS))


def _wrapped(key: bytes, written: bytes) -> bytes:
    return b'{\n    "%b": %b\n}' % (key, written)


def _check_rows(outputs: Mapping[str, Array]) -> None:
    sizes: dict[str, int] = {}
    for name, array in outputs.items():
        if not array.ndim:
            raise _invalid(f"Tensor name: {name} has no shape information ")
        sizes[name] = len(array)
        expected = next(iter(sizes.values()))
        if len(array) != expected:
            raise _invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {expected}")


def _rows(name: str, array: Array) -> list[Any]:
    """The rows of an output, each as something orjson writes."""
    if array.dtype.kind in "biu" or (array.dtype.kind == "f" and np.isfinite(array).all()):
        return list(_native(array))
    return [_json(name, row) for row in array]


def _json(name: str, value: Any) -> Any:
    """An array, or a row of one that is a scalar, as something orjson writes."""
    array = np.asarray(value) if not isinstance(value, bytes) else _scalar(value)
    kind = array.dtype.kind
    if kind in "OSU":
        write = _base64 if name.endswith("_bytes") else _text
        return _nested(write, array.tolist(), array.ndim)
    if kind == "V" and array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
        kind = "f"
    if kind not in _NUMERIC:
        raise _invalid(f"Failed to write JSON value for tensor type: {type_string(from_numpy(array.dtype))}")
    if not array.ndim:
        return array[()] if kind != "f" or np.isfinite(array) else orjson.Fragment(json_text.number(array.item()))
    return orjson.Fragment(_numbers(array))


def _numbers(array: Array) -> bytes:
    """The JSON of an array of numbers or truth values that has dimensions."""
    try:
        written = orjson.dumps(array, option=_OPTIONS)
    except TypeError:  # of another byte order, or not in one piece
        written = orjson.dumps(_native(array), option=_OPTIONS)
    # orjson writes NaN and the infinities of an array, and nothing else, as null.
    return _with_bare_words(written, array) if b"null" in written else written


def _native(array: Array) -> Array:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def _scalar(value: bytes) -> Array:
    array = np.empty((), np.object_)
    array[()] = value
    return array


def _with_bare_words(written: bytes, array: Any) -> bytes:
    """`written` with the words for what of `array` is not finite in place of each null."""
    odd = array[~np.isfinite(array)]
    words = np.where(np.isnan(odd), b"NaN", np.where(odd > 0, b"Infinity", b"-Infinity")).tolist()
    return b"".join(part for pair in zip(written.split(b"null"), [*words, b""], strict=True) for part in pair)


def _nested(write: Any, value: Any, depth: int) -> Any:
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


def _invalid(message: str) -> ServeError:
    return ServeError(Code.INVALID_ARGUMENT, message)
