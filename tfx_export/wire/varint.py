"""Protobuf's variable-length integers (varints), one or many at a time."""

import numpy as np
from numpy.typing import NDArray


def encode_varints(values: NDArray[np.generic]) -> bytes:
    """Returns the integers as consecutive varints; a negative integer takes ten bytes, as in protobuf."""
    if not values.size:
        return b""
    rest: NDArray[np.generic] = values.astype(np.int64, copy=False).view(np.uint64)
    highest = int(rest.max())
    if highest < 0x80:
        return rest.astype(np.uint8).tobytes()
    if highest < 1 << 32:
        rest = rest.astype(np.uint32)
    # One row of bytes for each value, as long as the longest value needs. `used` marks the bytes that each value needs.
    length = -(-highest.bit_length() // 7)
    groups = np.empty((rest.size, length), np.uint8)
    used = np.empty((rest.size, length), np.bool_)
    used[:, 0] = True
    for column in range(length):
        np.copyto(groups[:, column], rest, casting="unsafe")
        rest = np.right_shift(rest, 7)
        if column + 1 < length:
            used[:, column + 1] = more = rest != 0
            groups[:, column] = groups[:, column] & 0x7F | more.view(np.uint8) << 7
    return groups[used].tobytes()


_ONE_BYTE = [bytes((value,)) for value in range(0x80)]


def encode_varint(value: int) -> bytes:
    """Returns a non-negative integer as a varint."""
    if value < 0x80:
        return _ONE_BYTE[value]
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def read_varints(data: bytes, count: int) -> tuple[list[int], int]:
    """Returns the first `count` varints of `data`, fewer if it ends early, and the position after them."""
    values: list[int] = []
    position = value = shift = 0
    while len(values) < count and position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value)
            value = shift = 0
        elif shift > 63:
            break
    return values, position
