"""Reads the variables of a SavedModel without TensorFlow: `variables/variables.index` and its data files.

The index is a LevelDB table: blocks with sorted keys, an index block and a footer. TensorFlow writes it uncompressed.
Variables are mapped into memory, so a caller pays only for the variables that it reads.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from google.protobuf.message import DecodeError

from tfx_export import wire
from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.dtypes import dtype_name, numpy_dtype
from tfx_export.wire.tfrecord import mask_crc
from tfx_export.wire.varint import read_varints

INDEX = Path("variables", "variables.index")

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
_TF2_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclass(frozen=True)
class Variable:
    """A stored tensor: its name, dtype (`DT_FLOAT`) and shape, and where its `size` bytes are stored."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int
    size: int
    checksum: int

    def values(self) -> np.ndarray:
        """Returns the values as a flat array, mapped from the file.

        Raises KeyError if they are not numbers, SavedModelError if the file is truncated.
        """
        dtype = numpy_dtype(self.dtype)
        if not self.size:
            return np.empty(0, dtype)
        self._require_whole()
        return np.memmap(self.file, np.uint8, "r", self.offset, self.size).view(dtype)

    def is_damaged(self) -> bool:
        """Whether the bytes are missing or do not match their checksum."""
        try:
            self._require_whole()
        except SavedModelError:
            return True
        with self.file.open("rb") as file:
            file.seek(self.offset)
            left, crc = self.size, 0
            while left:
                block = file.read(min(left, 1 << 24))
                crc = google_crc32c.extend(crc, block)
                left -= len(block)
        return mask_crc(crc) != self.checksum

    def _require_whole(self) -> None:
        if (
            min(self.offset, self.size) < 0
            or not self.file.is_file()
            or self.file.stat().st_size < self.offset + self.size
        ):
            raise SavedModelError(f"{self.file} is missing or truncated: {self.name} lies beyond its end.")


def read_variables(folder: Path) -> list[Variable]:
    """Returns the variables of the SavedModel in `folder`, sorted by name; an empty list if it has none.

    Raises SavedModelError if the index is damaged.
    """
    path = folder / INDEX
    if not path.is_file():
        return []
    try:
        entries = list(_table(path.read_bytes()))
        header = wire.BundleHeaderProto.FromString(entries[0][1])
        if header.endianness != wire.BundleHeaderProto.LITTLE:
            raise SavedModelError(f"{path} was written on a big-endian machine.")
        # A partitioned variable has an entry without bytes. Each of its parts has an entry too.
        found = [(key, wire.BundleEntryProto.FromString(value)) for key, value in entries[1:] if key != _OBJECT_GRAPH]
        return sorted(
            (_variable(key, entry, path, header.num_shards) for key, entry in found if not entry.slices),
            key=lambda each: each.name,
        )
    except (DecodeError, IndexError, struct.error, ValueError) as error:
        raise SavedModelError(f"{path} is damaged: {error}") from None


def _variable(key: bytes, proto: wire.BundleEntryProto, index: Path, shards: int) -> Variable:
    name = "".join(filter(str.isprintable, key.decode(errors="replace"))).removesuffix(_TF2_SUFFIX)
    return Variable(
        name,
        dtype_name(proto.dtype),
        tuple(dim.size for dim in proto.shape.dim),
        index.with_name(f"variables.data-{proto.shard_id:05}-of-{shards:05}"),
        proto.offset,
        proto.size,
        proto.crc32c,
    )


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a LevelDB table."""
    if len(data) < _FOOTER_BYTES or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("it does not end with the footer of a checkpoint index")
    _, _, offset, size = read_varints(data[-_FOOTER_BYTES:], 4)[0]
    for _, handle in _block(data, offset, size):
        start, length = read_varints(handle, 2)[0]
        yield from _block(data, start, length)


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    block = data[offset : offset + size]
    kind, crc = struct.unpack_from("<BI", data, offset + size)
    if mask_crc(google_crc32c.value(data[offset : offset + size + 1])) != crc:
        raise ValueError(f"the block at byte {offset} does not match its checksum")
    if kind != 0:
        raise ValueError("it is compressed")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    position, key = 0, b""
    while position < end:
        (shared, unshared, length), used = read_varints(block[position:], 3)
        position += used
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length
