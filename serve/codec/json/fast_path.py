"""Reads arrays of numbers from simdjson's tape, which flattens nested lists without checking whether they are ragged.

The structure of the body shows whether they are. The structure is the text without numbers and white space; it must be
equal to the structure of an array whose shape is that of the first elements. Building and comparing both runs at memory
speed. A body with a single row of numbers needs no comparison, because its only list of numbers has been read.
"""

import contextvars
import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
import orjson
import simdjson

from serve.codec.json.arrays import FLOATS, INTEGERS, to_array
from serve.codec.json.parse import Document, as_python
from serve.codec.layout_cache import UnsupportedLayoutError
from serve.errors import ServeError
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import TensorSpec
from tfx_export.savedmodel.tensor import MAX_RANK, Array

_NUMBERS_AND_SPACE = b"0123456789.eE+- \t\n\r"
# Rows of objects that are smaller than this, in bytes per row, are read faster as Python values.
_LARGE_ROW = 2048

# simdjson's name of a type on its tape, and the range of integers that fit (None: all).
_TapeType: TypeAlias = tuple[Literal["d", "i", "u"], range | None]


def _integer_type(read_as: type[np.integer]) -> _TapeType:
    limits = np.iinfo(read_as)
    if limits.bits == 64:
        return ("i" if limits.min else "u"), None
    return "i", range(limits.min, limits.max + 1)


_TAPE: dict[str, _TapeType] = {
    **dict.fromkeys(FLOATS, ("d", None)),
    **{dtype: _integer_type(read_as) for dtype, read_as in INTEGERS.items()},
}
_STORED = {"d": np.dtype("f8"), "i": np.dtype("i8"), "u": np.dtype("u8")}

# In this context a number that is too large for its dtype becomes infinite without a warning. Running in a copy of it
# costs less than `np.errstate`. (numpy 1 keeps this setting per thread and may warn once.)
_IGNORE_OVERFLOW = contextvars.copy_context()
_IGNORE_OVERFLOW.run(np.seterr, over="ignore")


def read_numbers(body: bytes, document: Document, specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """Returns the inputs of a predict request that holds only the inputs in `specs`, in row or columnar format.

    Raises UnsupportedLayoutError for any other request, and for one that is read faster as Python values.
    """
    if not isinstance(document, simdjson.Object) or _TAPE.keys().isdisjoint([spec.dtype for spec in specs.values()]):
        raise UnsupportedLayoutError
    arrays: dict[str, Array] = {}
    members = []
    try:
        for name in document.keys():  # noqa: SIM118
            value = document[name]
            if name == "signature_name" and isinstance(value, str):
                structure = _structure_of(orjson.dumps(value))
            elif name == "instances" and isinstance(value, simdjson.Array) and isinstance(value[0], simdjson.Object):
                if len(body) < _LARGE_ROW * len(value):
                    raise UnsupportedLayoutError
                structure = _read_rows(value, specs, arrays)
            elif name == "inputs" and isinstance(value, simdjson.Object):
                structure = _read_object(value, specs, arrays)
            elif name in ("instances", "inputs") and isinstance(value, simdjson.Array) and len(specs) == 1:
                (input_name, spec), *_ = specs.items()
                arrays[input_name], structure = _read_value(value, spec.dtype)
            else:
                raise UnsupportedLayoutError
            members.append(_structure_of(orjson.dumps(name)) + b":" + structure)
    except (TypeError, ValueError, IndexError, ServeError):
        raise UnsupportedLayoutError from None
    if arrays.keys() != specs.keys() or not (
        is_single_row(body, arrays) or b"{" + b",".join(members) + b"}" == _structure_of(body)
    ):
        raise UnsupportedLayoutError
    return arrays


def is_single_row(body: bytes, arrays: Mapping[str, Array]) -> bool:
    """Whether the body holds one list of numbers and the lists around it, each with one element, and no other list."""
    if len(arrays) > 1:
        return False
    (array,) = arrays.values()
    # Brackets are counted up to the last one, which is searched from the end at memory speed: the numbers after it are
    # not scanned twice.
    return array.ndim > 0 and array.size == array.shape[-1] and body.count(b"[", 0, body.rfind(b"[") + 1) == array.ndim


def read_list(value: simdjson.Array, dtype: str) -> Array:
    """Returns all numbers of a list and of the lists inside it, in order, as an array of rank 1.

    Raises TypeError or ValueError for an element that is not a number, UnsupportedLayoutError for a number that the
    dtype cannot hold.
    """
    if dtype not in _TAPE:
        raise UnsupportedLayoutError
    tape_type, fitting = _TAPE[dtype]
    stored = np.frombuffer(value.as_buffer(of_type=tape_type), _STORED[tape_type])
    if fitting and stored.size and not (int(stored.min()) in fitting and int(stored.max()) in fitting):
        raise UnsupportedLayoutError
    array: Array = _IGNORE_OVERFLOW.copy().run(stored.astype, numpy_dtype(dtype), copy=False)
    return array


def _read_rows(rows: simdjson.Array, specs: Mapping[str, TensorSpec], arrays: dict[str, Array]) -> bytes:
    """Reads rows of objects into `arrays`. Returns the structure that their text must have."""
    columns: dict[str, list[Array]] = {name: [] for name in specs}
    structures = []
    for row in rows:
        if not isinstance(row, simdjson.Object):
            raise UnsupportedLayoutError
        values: dict[str, Array] = {}
        structures.append(_read_object(row, specs, values))
        for name, column in columns.items():
            if name not in values:
                raise UnsupportedLayoutError
            column.append(values[name])
    for name, column in columns.items():
        arrays[name] = np.stack(column)  # ValueError if shapes differ
    return b"[" + b",".join(structures) + b"]"


def _read_object(value: simdjson.Object, specs: Mapping[str, TensorSpec], arrays: dict[str, Array]) -> bytes:
    """Reads the inputs in an object into `arrays`. Returns the structure that its text must have."""
    members = []
    for name in value.keys():  # noqa: SIM118
        if name not in specs or name in arrays:
            raise UnsupportedLayoutError
        arrays[name], structure = _read_value(value[name], specs[name].dtype)
        members.append(_structure_of(orjson.dumps(name)) + b":" + structure)
    return b"{" + b",".join(members) + b"}"


def _read_value(value: Document, dtype: str) -> tuple[Array, bytes]:
    """Returns the array, and the structure that its text must have."""
    if dtype not in _TAPE or not isinstance(value, simdjson.Array):
        plain = as_python(value)
        return to_array(plain, dtype), _structure_of(orjson.dumps(plain))
    numbers = read_list(value, dtype)
    shape = []
    level = value
    while isinstance(level, simdjson.Array):
        shape.append(len(level))
        level = level[0]
    if math.prod(shape) != numbers.size or len(shape) > MAX_RANK:
        raise UnsupportedLayoutError
    return numbers.reshape(shape), _structure_of_shape(shape)


def _structure_of_shape(shape: list[int]) -> bytes:
    structure = b""
    for size in reversed(shape):
        structure = b"[" + (structure + b",") * (size - 1) + structure + b"]"
    return structure


def _structure_of(text: bytes) -> bytes:
    return text.translate(None, _NUMBERS_AND_SPACE)
