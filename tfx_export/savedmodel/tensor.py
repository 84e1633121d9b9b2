"""Converts TensorProtos to ndarrays and back, as tensorflow/core/framework/tensor.cc does.

Strings become object arrays of bytes, bfloat16 and numbers with 8 bits or fewer the dtypes of ml_dtypes, and quantized
dtypes their integers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfx_export import wire
from tfx_export.savedmodel.dtypes import QUANTIZED, dtype_name, dtype_number, from_numpy, has_numpy_dtype, numpy_dtype
from tfx_export.wire.varint import encode_varint, encode_varints, read_varints

Array = NDArray[np.generic]

# A shape and one repeated value need few bytes on the wire, but can need any amount of memory.
MAX_ELEMENTS = 64 << 20
# TensorFlow's own limit on the number of dimensions.
MAX_RANK = 254
# np.asarray of a repeated field costs 2.5 us at any length, np.fromiter 25 ns per value.
_SHORT = 64
# Negative numbers are sent as unsigned 64-bit integers.
_UNSIGNED = 2**64 - 1

_REPEATED_FIELDS = {
    "float_val": (np.float32, "DT_FLOAT"),
    "double_val": (np.float64, "DT_DOUBLE"),
    "int_val": (
        np.int32,
        "DT_INT32 DT_INT16 DT_INT8 DT_UINT8 DT_UINT16 DT_INT4 DT_UINT4 DT_INT2 DT_UINT2 " + " ".join(sorted(QUANTIZED)),
    ),
    "int64_val": (np.int64, "DT_INT64"),
    "float8_val": (
        np.uint8,
        "DT_FLOAT8_E5M2 DT_FLOAT8_E4M3FN DT_FLOAT8_E4M3FNUZ DT_FLOAT8_E4M3B11FNUZ DT_FLOAT8_E5M2FNUZ DT_FLOAT4_E2M1FN",
    ),
    "uint32_val": (np.uint32, "DT_UINT32"),
    "uint64_val": (np.uint64, "DT_UINT64"),
    "bool_val": (np.bool_, "DT_BOOL"),
    "half_val": (np.int32, "DT_HALF DT_BFLOAT16"),
    "scomplex_val": (np.float32, "DT_COMPLEX64"),
    "dcomplex_val": (np.float64, "DT_COMPLEX128"),
    "string_val": (np.object_, "DT_STRING"),
}


# Protobuf packs the values of these fields exactly as they are in memory.
_AS_IN_MEMORY = frozenset({"float_val", "double_val", "bool_val", "scomplex_val", "dcomplex_val", "float8_val"})


@dataclass(frozen=True)
class _Layout:
    """How a TensorProto holds values of one dtype: the field, its tag, its dtype, and the dtype of the tensor."""

    field: str
    tag: bytes
    stored: np.dtype[np.generic]
    dtype: np.dtype[np.generic]


def _tag(field: str) -> bytes:
    """Returns the tag of a length-delimited field of a TensorProto."""
    return encode_varint(wire.TensorProto.DESCRIPTOR.fields_by_name[field].number << 3 | 2)


def _layouts() -> dict[int, _Layout]:
    return {
        dtype_number(name): _Layout(field, _tag(field), np.dtype(stored), numpy_dtype(name))
        for field, (stored, names) in _REPEATED_FIELDS.items()
        for name in names.split()
        if has_numpy_dtype(name)
    }


_LAYOUTS = _layouts()
_CONTENT_TAG = _tag("tensor_content")


def decode(proto: wire.TensorProto, *, max_elements: int = MAX_ELEMENTS) -> Array:
    """Returns the array in a TensorProto, with the declared shape and dtype; never a view of the message.

    If there are fewer values than the shape needs, the last one is repeated; if there are none, the array is zero.
    Surplus values, and values in the field of another dtype, are ignored.
    Raises ValueError if `proto` is not a valid tensor, or has more than `max_elements` values (0: no limit).
    """
    layout = _LAYOUTS.get(proto.dtype)
    if layout is None:
        raise ValueError(f"a tensor of dtype {dtype_name(proto.dtype)} cannot be sent")
    shape = _shape(proto.tensor_shape)
    count = math.prod(shape)
    if max_elements and count > max_elements:
        raise ValueError(f"shape {list(shape)} has {count} values, at most {max_elements} are allowed")
    content = proto.tensor_content
    if content:
        values = _strings(content, count) if layout.field == "string_val" else _numbers(content, count, layout.dtype)
    else:
        values = _values(getattr(proto, layout.field), layout)[:count]
        if len(values) < count:
            values = _repeat_last(values, count)
    try:
        return values.reshape(shape)
    except ValueError:  # An empty tensor whose other dimensions are larger than numpy allows.
        raise ValueError(f"shape {list(shape)} is too large") from None


def encode(array: Array, *, as_content: bool = False, dtype: str | None = None) -> wire.TensorProto:
    """Returns `array` as a TensorProto. Arguments and errors as for `serialize`."""
    return wire.TensorProto.FromString(serialize(array, as_content=as_content, dtype=dtype))


def serialize(array: Array, *, as_content: bool = False, dtype: str | None = None) -> bytes:
    """Returns `array` as a serialized TensorProto.

    The values are in the field of the dtype, or in `tensor_content` if `as_content` is true. `dtype` is needed only if
    it does not follow from the array's dtype (`DT_QINT8`). Raises TypeError if TensorFlow has no dtype for the array.
    The bytes are written directly, because a message object and a Python number for each value would dominate the cost.
    """
    try:
        name = dtype or from_numpy(array.dtype)
        before = bytes_before_values(name, array.shape, array.nbytes, as_content=as_content)
    except KeyError:
        raise TypeError(f"A tensor cannot hold values of type {dtype or array.dtype}.") from None
    if before is not None:
        return before + array.tobytes()
    if array.dtype.names:  # TensorFlow's quantized dtypes have one field
        array = array.view(numpy_dtype(name))
    number = dtype_number(name)
    header, layout = _header(number, array.shape), _LAYOUTS[number]
    if layout.field == "string_val":
        strings = [_as_bytes(value) for value in array.ravel().tolist()]
        if not as_content:
            return b"".join((header, *(_field(layout.tag, string) for string in strings)))
        values = encode_varints(np.array([len(s) for s in strings], np.int64)) + b"".join(strings)
    else:
        values = _packed(np.ascontiguousarray(array).ravel(), layout)
    return header + _field(_CONTENT_TAG if as_content else layout.tag, values) if values else header


@lru_cache(4096)
def bytes_before_values(dtype: str, shape: tuple[int, ...], size: int, *, as_content: bool) -> bytes | None:
    """Returns the bytes of a serialized TensorProto that come before its values, which are the `size` bytes in memory.

    Returns None if the values are encoded differently, or if there are none. Raises KeyError if a tensor cannot hold
    the dtype.
    """
    number = dtype_number(dtype)
    layout = _LAYOUTS[number]
    in_memory = layout.field != "string_val" if as_content else layout.field in _AS_IN_MEMORY
    if not in_memory or not size:
        return None
    return b"".join((_header(number, shape), _CONTENT_TAG if as_content else layout.tag, encode_varint(size)))


@lru_cache(4096)
def _header(number: int, shape: tuple[int, ...]) -> bytes:
    """Returns the serialized dtype and shape. Cached, because few of them occur, and they occur often."""
    proto = wire.TensorProto(dtype=number)
    dims = proto.tensor_shape
    dims.SetInParent()
    for size in shape:
        dims.dim.add(size=size)
    header: bytes = proto.SerializeToString()
    return header


def _field(tag: bytes, content: bytes) -> bytes:
    return b"".join((tag, encode_varint(len(content)), content))


def _shape(proto: wire.TensorShapeProto) -> tuple[int, ...]:
    # As in TensorFlow, `unknown_rank` has no effect: a shape without dimensions is that of a scalar.
    shape = tuple([dim.size for dim in proto.dim])
    if len(shape) > MAX_RANK:
        raise ValueError(f"{len(shape)} dimensions, at most {MAX_RANK} are allowed")
    if shape and min(shape) < 0:
        raise ValueError(f"shape {list(shape)} has a negative dimension")
    return shape


def _values(field: Sequence[Any] | bytes, layout: _Layout) -> Array:
    """Returns all values of a repeated field, with the dtype of the tensor."""
    if layout.field == "string_val":
        strings = np.empty(len(field), np.object_)
        strings[:] = list(field)
        return strings
    if isinstance(field, bytes):  # float8_val
        return np.frombuffer(field, layout.dtype)
    count = len(field)
    stored: Array = np.fromiter(field, layout.stored, count) if count < _SHORT else np.asarray(field, layout.stored)
    if layout.field == "half_val":
        return stored.astype(np.uint16).view(layout.dtype)
    if layout.dtype.kind == "c":
        return stored[: len(stored) // 2 * 2].view(layout.dtype)
    return stored.astype(layout.dtype, copy=False)


def _repeat_last(values: Array, count: int) -> Array:
    whole = np.empty(count, values.dtype)
    whole[: len(values)] = values
    whole[len(values) :] = values[-1] if len(values) else b"" if values.dtype == np.object_ else 0
    return whole


def _numbers(content: bytes, count: int, dtype: np.dtype[np.generic]) -> Array:
    if len(content) != count * dtype.itemsize:
        raise ValueError(f"tensor_content has {len(content)} bytes, expected {count * dtype.itemsize}")
    if dtype == np.bool_:
        return np.frombuffer(content, np.uint8).astype(np.bool_)
    return np.frombuffer(content, dtype)


def _strings(content: bytes, count: int) -> Array:
    """Reads `count` strings from content that has their lengths as varints first, and then the strings."""
    if count > len(content):
        raise ValueError(f"tensor_content has {len(content)} bytes, too few for {count} strings")
    lengths, position = read_varints(content, count)
    if len(lengths) < count or position + sum(lengths) != len(content):
        raise ValueError(f"tensor_content does not hold {count} strings")
    strings = np.empty(count, np.object_)
    for index, length in enumerate(lengths):
        strings[index] = content[position : position + length]
        position += length
    return strings


def _packed(values: Array, layout: _Layout) -> bytes:
    """Returns integers as protobuf packs them."""
    if layout.field == "half_val":
        values = values.view(np.uint16)
    elif values.dtype.kind == "V":  # integers with less than 8 bits
        values = values.astype(np.int32)
    if values.size < _SHORT:
        return b"".join([encode_varint(value & _UNSIGNED) for value in values.tolist()])
    return encode_varints(values)


def _as_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value
