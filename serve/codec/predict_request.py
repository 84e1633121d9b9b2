"""Reads PredictRequests from their bytes, with a layout cache: a request with a cached layout is not parsed."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from serve.codec.layout_cache import MAX_LAYOUTS, UnsupportedLayoutError
from serve.codec.tensor import decode_all
from tfx_export import wire
from tfx_export.savedmodel.tensor import Array
from tfx_export.wire.varint import read_varints

# The key of a layout is the length of the request and its first 16 bytes, which usually name the model.
_KEY_BYTES = 16
# At most 8 layouts for each key. A layout with more than 1,024 bytes around the numbers is not cached: clients choose
# them.
MAX_LAYOUTS_PER_KEY, MAX_LAYOUT_BYTES = 8, 1024

# Tag numbers of predict.proto and tensor.proto, and wire types.
_INPUTS, _KEY, _VALUE = 2, 1, 2
_DTYPE_SHAPE_VERSION = frozenset({1, 2, 3})
_VARINT, _DELIMITED = 0, 2
# Fields whose bytes are those of the array in memory: tensor_content for any dtype, float_val and double_val.
_TENSOR_CONTENT, _TYPED_FIELDS = 4, {5: np.dtype(np.float32), 6: np.dtype(np.float64)}


class PredictRequest:
    """A request: which model, which inputs, which outputs."""

    __slots__ = ("head", "inputs", "model_spec")

    def __init__(self, head: wire.PredictRequest, inputs: Callable[[], dict[str, Array]]) -> None:
        """`head`: the message without its `inputs`. `inputs` makes the arrays, or raises INVALID_ARGUMENT."""
        self.head = head
        self.model_spec = head.model_spec
        self.inputs = inputs


class PredictReader:
    """Reads requests, and caches the layouts of those whose inputs are all numbers of fixed size."""

    def __init__(self, max_elements: int) -> None:
        self._max_elements = max_elements
        self._layouts: dict[tuple[int, bytes], list[_Layout]] = {}

    def read(self, data: bytes) -> PredictRequest:
        """Returns the request in `data`. Raises DecodeError."""
        for layout in self._layouts.get((len(data), data[:_KEY_BYTES]), ()):
            for start, piece in layout.fixed:
                if not data.startswith(piece, start):
                    break
            else:
                return PredictRequest(layout.head, partial(layout.arrays, data))
        message = wire.PredictRequest.FromString(data)
        return PredictRequest(message, partial(self._decode, message, data))

    def _decode(self, message: wire.PredictRequest, data: bytes) -> dict[str, Array]:
        arrays = decode_all(message.inputs, max_elements=self._max_elements)
        try:
            layout = _find_layout(message, data, arrays)
        except UnsupportedLayoutError:
            return arrays
        if len(self._layouts) >= MAX_LAYOUTS:
            self._layouts.clear()
        layouts = self._layouts.setdefault((len(data), data[:_KEY_BYTES]), [])
        layouts.insert(0, layout)
        del layouts[MAX_LAYOUTS_PER_KEY:]
        return arrays


class _InputValues(NamedTuple):
    """Where the numbers of an input are in the request, and the array that they make."""

    name: str
    start: int
    end: int
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]


class _Layout(NamedTuple):
    """A request without its numbers. `fixed`: the bytes around the numbers, with their positions.

    Two requests of the same length with the same fixed bytes differ only in their numbers.
    """

    head: wire.PredictRequest
    fixed: tuple[tuple[int, bytes], ...]
    inputs: tuple[_InputValues, ...]

    def arrays(self, data: bytes) -> dict[str, Array]:
        return {
            name: np.frombuffer(data[start:end], dtype).reshape(shape) for name, start, end, dtype, shape in self.inputs
        }


def _find_layout(message: wire.PredictRequest, data: bytes, arrays: dict[str, Array]) -> _Layout:
    """Returns the layout of `data`, which was parsed into `message` and `arrays`.

    Raises UnsupportedLayoutError if its numbers cannot be separated from the rest, or if the rest is too large.
    """
    if not all(_has_fixed_size(array, message.inputs[name]) for name, array in arrays.items()):
        raise UnsupportedLayoutError
    inputs = [_find_values(data, start, end, arrays) for number, _, start, end in _fields(data) if number == _INPUTS]
    if not inputs or len(inputs) != len(arrays) or inputs[0].start < _KEY_BYTES:
        raise UnsupportedLayoutError
    bounds = [0, *(bound for values in inputs for bound in (values.start, values.end)), len(data)]
    fixed = tuple((start, data[start:end]) for start, end in zip(bounds[::2], bounds[1::2], strict=True) if start < end)
    if sum(len(piece) for _, piece in fixed) > MAX_LAYOUT_BYTES:
        raise UnsupportedLayoutError
    head = wire.PredictRequest(output_filter=message.output_filter)
    if message.HasField("model_spec"):
        head.model_spec.CopyFrom(message.model_spec)
    return _Layout(head, fixed, tuple(inputs))


def _has_fixed_size(array: Array, proto: wire.TensorProto) -> bool:
    """Whether the request may hold the values as they are in memory."""
    return array.dtype in _TYPED_FIELDS.values() or (array.dtype.kind in "fiuc" and bool(proto.tensor_content))


def _find_values(data: bytes, start: int, end: int, arrays: dict[str, Array]) -> _InputValues:
    """Finds the numbers of one entry of `inputs`.

    Raises UnsupportedLayoutError unless it has one key, one tensor, and all its values in one field.
    """
    entry = list(_fields(data, start, end))
    if [(number, kind) for number, kind, _, _ in entry] != [(_KEY, _DELIMITED), (_VALUE, _DELIMITED)]:
        raise UnsupportedLayoutError
    (_, _, key, key_end), (_, _, value, value_end) = entry
    name = data[key:key_end].decode()
    array = arrays[name]
    values = [field for field in _fields(data, value, value_end) if field[0] not in _DTYPE_SHAPE_VERSION]
    if len(values) != 1:
        raise UnsupportedLayoutError
    ((number, kind, first, last),) = values
    as_in_memory = number == _TENSOR_CONTENT or _TYPED_FIELDS.get(number) == array.dtype
    if not as_in_memory or kind != _DELIMITED or last - first != array.nbytes:
        raise UnsupportedLayoutError
    return _InputValues(name, first, last, array.dtype, array.shape)


def _fields(data: bytes, position: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Yields the fields of a valid message: number, wire type, and the start and end of the content."""
    end = len(data) if end is None else end
    while position < end:
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            start, (_, position) = position, _varint(data, position)
        elif kind == _DELIMITED:
            size, start = _varint(data, position)
            position = start + size
        else:
            raise UnsupportedLayoutError
        yield number, kind, start, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Returns the value at `position` and the position after it."""
    (value,), used = read_varints(data[position : position + 10], 1)
    return value, position + used
