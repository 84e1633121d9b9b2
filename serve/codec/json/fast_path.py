"""Numeric arrays straight from simdjson's tape, which flattens nested lists without asking whether they are ragged.

Whether they are is told by the skeleton of the body, what is left of it without numbers and white space: it must be
that of lists of the shape the first elements show. Both sides of the comparison are made at memory speed. A single row
of numbers needs none: its only list of them has been looked at.
"""

import contextvars
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import orjson
import simdjson

from serve.codec.json.arrays import dense
from serve.codec.json.parse import as_python
from serve.errors import ServeError
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import TensorSpec
from tfx_export.savedmodel.tensor import MAX_RANK, Array

_NUMBERS_AND_SPACE = b"0123456789.eE+- \t\n\r"
# Below this many bytes a row, rows of objects are quicker as Python values.
_LARGE_ROW = 2048

# dtype -> simdjson's name of the type on the tape, and the integers that fit.
_TAPE: dict[str, tuple[Literal["d", "i", "u"], range | None]] = {
    **dict.fromkeys(("DT_FLOAT", "DT_DOUBLE", "DT_HALF", "DT_BFLOAT16"), ("d", None)),
    **dict.fromkeys(("DT_INT32", "DT_INT16", "DT_INT8", "DT_UINT8", "DT_UINT16"), ("i", range(-(2**31), 2**31))),
    "DT_INT64": ("i", None),
    "DT_UINT32": ("i", range(2**32)),
    "DT_UINT64": ("u", None),
}
_STORED = {"d": np.dtype("f8"), "i": np.dtype("i8"), "u": np.dtype("u8")}

# In which a number too large for its dtype becomes infinite without a word; a copy of it costs less than `np.errstate`.
# (numpy 1 keeps this by thread, and may warn once.)
_QUIET = contextvars.copy_context()
_QUIET.run(np.seterr, over="ignore")


class UnusualError(Exception):
    """Not for this road: let the thorough one decide what is to be said about it."""


def read_numbers(body: bytes, document: Any, specs: Mapping[str, TensorSpec]) -> dict[str, Array] | None:
    """The inputs of a predict request that holds only what `specs` ask for, in row or columnar format.

    None if it is not that simple, or not worth the effort.
    """
    if not isinstance(document, simdjson.Object) or not any(spec.dtype in _TAPE for spec in specs.values()):
        return None
    arrays: dict[str, Array] = {}
    members = []
    try:
        for name in document.keys():  # noqa: SIM118
            value = document[name]
            if name == "signature_name" and isinstance(value, str):
                skeleton = _squeeze(orjson.dumps(value))
            elif name == "instances" and isinstance(value, simdjson.Array) and isinstance(value[0], simdjson.Object):
                if len(body) < _LARGE_ROW * len(value):
                    return None
                skeleton = _read_rows(value, specs, arrays)
            elif name == "inputs" and isinstance(value, simdjson.Object):
                skeleton = _read_object(value, specs, arrays)
            elif name in ("instances", "inputs") and isinstance(value, simdjson.Array) and len(specs) == 1:
                (input_name, spec), *_ = specs.items()
                arrays[input_name], skeleton = _read(value, spec.dtype)
            else:
                return None
            members.append(_squeeze(orjson.dumps(name)) + b":" + skeleton)
    except (UnusualError, TypeError, ValueError, IndexError, ServeError):
        return None
    if arrays.keys() != specs.keys():
        return None
    return arrays if is_one_row(body, arrays) or b"{" + b",".join(members) + b"}" == _squeeze(body) else None


def is_one_row(body: bytes, arrays: Mapping[str, Array]) -> bool:
    """Whether the body holds no list but one of numbers and those around it, each with one element."""
    if len(arrays) > 1:
        return False
    (array,) = arrays.values()
    # Counted as far as the last one, found from the end at memory speed: not through all the numbers behind it.
    return array.ndim > 0 and array.size == array.shape[-1] and body.count(b"[", 0, body.rfind(b"[") + 1) == array.ndim


def _read_rows(rows: simdjson.Array, specs: Mapping[str, TensorSpec], arrays: dict[str, Array]) -> bytes:
    columns: dict[str, list[Array]] = {name: [] for name in specs}
    skeletons = []
    for row in rows:
        if not isinstance(row, simdjson.Object):
            raise UnusualError
        values: dict[str, Array] = {}
        skeletons.append(_read_object(row, specs, values))
        for name, column in columns.items():
            if name not in values:
                raise UnusualError
            column.append(values[name])
    for name, column in columns.items():
        arrays[name] = np.stack(column)  # ValueError if shapes differ
    return b"[" + b",".join(skeletons) + b"]"


def _read_object(value: simdjson.Object, specs: Mapping[str, TensorSpec], arrays: dict[str, Array]) -> bytes:
    members = []
    for name in value.keys():  # noqa: SIM118
        if name not in specs or name in arrays:
            raise UnusualError
        arrays[name], skeleton = _read(value[name], specs[name].dtype)
        members.append(_squeeze(orjson.dumps(name)) + b":" + skeleton)
    return b"{" + b",".join(members) + b"}"


def _read(value: Any, dtype: str) -> tuple[Array, bytes]:
    """The array and the skeleton its text must have."""
    if dtype not in _TAPE or not isinstance(value, simdjson.Array):
        plain = as_python(value)
        return dense(plain, dtype), _squeeze(orjson.dumps(plain))
    numbers = read_list(value, dtype)
    shape = []
    level = value
    while isinstance(level, simdjson.Array):
        shape.append(len(level))
        level = level[0]
    if math.prod(shape) != numbers.size or len(shape) > MAX_RANK:
        raise UnusualError
    return numbers.reshape(shape), _skeleton(shape)


def read_list(value: simdjson.Array, dtype: str) -> Array:
    """All numbers in a list and the lists in it, one after the other.

    TypeError or ValueError for what is no number, UnusualError for one that the dtype cannot hold.
    """
    if dtype not in _TAPE:
        raise UnusualError
    tape_type, fitting = _TAPE[dtype]
    stored = np.frombuffer(value.as_buffer(of_type=tape_type), _STORED[tape_type])
    if fitting and stored.size and not (int(stored.min()) in fitting and int(stored.max()) in fitting):
        raise UnusualError
    array: Array = _QUIET.copy().run(stored.astype, numpy_dtype(dtype), copy=False)
    return array


def _skeleton(shape: list[int]) -> bytes:
    skeleton = b""
    for size in reversed(shape):
        skeleton = b"[" + (skeleton + b",") * (size - 1) + skeleton + b"]"
    return skeleton


def _squeeze(text: bytes) -> bytes:
    return text.translate(None, _NUMBERS_AND_SPACE)
