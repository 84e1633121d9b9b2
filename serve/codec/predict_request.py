"""PredictRequest, read from the bytes that travel: what differs from an earlier one in numbers only is not parsed."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from serve.codec.tensor import decode_all
from tfx_export import wire
from tfx_export.savedmodel.tensor import Array
from tfx_export.wire.varint import read_varints

# Layouts are told apart by the length of the request and its first bytes, which name the model as a rule.
_HEAD = 16
# So many of these are kept, with so many layouts each, of so many bytes: a client decides what they are.
MAX_LAYOUTS, MAX_ALIKE, MAX_FIXED_BYTES = 1024, 8, 1024

# Tag numbers of predict.proto and tensor.proto, and wire types.
_INPUTS, _KEY, _VALUE = 2, 1, 2
_DESCRIBING = frozenset({1, 2, 3})
_VARINT, _DELIMITED = 0, 2
# Fields whose bytes are an array's, whatever they are: tensor_content, float_val and double_val.
_CONTENT, _OWN_FIELDS = 4, {5: np.dtype(np.float32), 6: np.dtype(np.float64)}


class PredictRequest:
    """Which model is asked, with which inputs, for which outputs."""

    __slots__ = ("head", "inputs", "model_spec")

    def __init__(self, head: wire.PredictRequest, inputs: Callable[[], dict[str, Array]]) -> None:
        """`head`: the message, its `inputs` aside. `inputs` makes the arrays: INVALID_ARGUMENT for bad ones."""
        self.head = head
        self.model_spec = head.model_spec
        self.inputs = inputs


class PredictReader:
    """Reads requests, and remembers how those were laid out that hold numbers of fixed size only."""

    def __init__(self, max_elements: int) -> None:
        self._max_elements = max_elements
        self._layouts: dict[tuple[int, bytes], list[_Layout]] = {}

    def read(self, data: bytes) -> PredictRequest:
        """The request in `data`. Raises DecodeError."""
        for layout in self._layouts.get((len(data), data[:_HEAD]), ()):
            for start, piece in layout.fixed:
                if not data.startswith(piece, start):
                    break
            else:
                return PredictRequest(layout.head, partial(layout.arrays, data))
        message = wire.PredictRequest.FromString(data)
        return PredictRequest(message, partial(self._decode, message, data))

    def _decode(self, message: wire.PredictRequest, data: bytes) -> dict[str, Array]:
        arrays = decode_all(message.inputs, max_elements=self._max_elements)
        layout = _layout(message, data, arrays)
        if layout:
            if len(self._layouts) >= MAX_LAYOUTS:
                self._layouts.clear()
            alike = self._layouts.setdefault((len(data), data[:_HEAD]), [])
            alike.insert(0, layout)
            del alike[MAX_ALIKE:]
        return arrays


class _Hole(NamedTuple):
    """Where the numbers of one input lie, and what they are."""

    name: str
    start: int
    end: int
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]


class _Layout(NamedTuple):
    """A request without its numbers: the same bytes around as many bytes mean the same in every request."""

    head: wire.PredictRequest
    fixed: tuple[tuple[int, bytes], ...]
    holes: tuple[_Hole, ...]

    def arrays(self, data: bytes) -> dict[str, Array]:
        return {
            name: np.frombuffer(data[start:end], dtype).reshape(shape) for name, start, end, dtype, shape in self.holes
        }


def _layout(message: wire.PredictRequest, data: bytes, arrays: dict[str, Array]) -> _Layout | None:
    """How `data` is laid out, which was parsed as `message` with these arrays; None if that is not worth knowing."""
    if not all(_has_fixed_size(array, message.inputs[name]) for name, array in arrays.items()):
        return None
    try:
        holes = [_hole(data, start, end, arrays) for number, _, start, end in _fields(data) if number == _INPUTS]
    except _UnusualError:
        return None
    if not holes or len(holes) != len(arrays) or holes[0].start < _HEAD:
        return None
    edges = [0, *(admission for hole in holes for admission in (hole.start, hole.end)), len(data)]
    fixed = tuple((start, data[start:end]) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end)
    if sum(len(piece) for _, piece in fixed) > MAX_FIXED_BYTES:
        return None
    head = wire.PredictRequest(output_filter=message.output_filter)
    if message.HasField("model_spec"):
        head.model_spec.CopyFrom(message.model_spec)
    return _Layout(head, fixed, tuple(holes))


class _UnusualError(Exception):
    """Not as clients write requests: not worth a layout."""


def _has_fixed_size(array: Array, proto: wire.TensorProto) -> bool:
    """Whether its values may lie in the request as they do in memory."""
    return array.dtype in _OWN_FIELDS.values() or (array.dtype.kind in "fiuc" and bool(proto.tensor_content))


def _hole(data: bytes, start: int, end: int, arrays: dict[str, Array]) -> _Hole:
    """The numbers of one entry of `inputs`, which must have one key, one tensor, and all its values in one field."""
    entry = list(_fields(data, start, end))
    if [(number, kind) for number, kind, _, _ in entry] != [(_KEY, _DELIMITED), (_VALUE, _DELIMITED)]:
        raise _UnusualError
    (_, _, key, key_end), (_, _, value, value_end) = entry
    name = data[key:key_end].decode()
    array = arrays[name]
    values = [field for field in _fields(data, value, value_end) if field[0] not in _DESCRIBING]
    if len(values) != 1:
        raise _UnusualError
    ((number, kind, first, last),) = values
    own = number == _CONTENT or _OWN_FIELDS.get(number) == array.dtype
    if not own or kind != _DELIMITED or last - first != array.nbytes:
        raise _UnusualError
    return _Hole(name, first, last, array.dtype, array.shape)


def _fields(data: bytes, position: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message that was parsed before: number, wire type, and where the content starts and ends."""
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
            raise _UnusualError
        yield number, kind, start, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The value at `position`, and the position behind it."""
    (value,), used = read_varints(data[position : position + 10], 1)
    return value, position + used
