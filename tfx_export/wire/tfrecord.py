"""Reads and writes TFRecord files without TensorFlow.

A record is the length of its data, the masked CRC32C of the length, the data, and the masked CRC32C of the data.
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK_DELTA = 0xA282EAD8


class RecordError(ValueError):
    """A TFRecord file is cut off or damaged. The message says at which byte."""


def frame(data: bytes) -> bytes:
    """Returns `data` as one record, which can be appended to a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _FOOTER.pack(_masked_crc(length)), data, _FOOTER.pack(_masked_crc(data))))


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Writes `records` to the file `path`; an existing file is replaced."""
    with path.open("wb") as file:
        for record in records:
            file.write(frame(record))


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of the file `path`. Raises RecordError at the first record that is cut off or damaged."""
    with path.open("rb") as file:
        while header := file.read(_HEADER.size):
            start = file.tell() - len(header)
            if len(header) < _HEADER.size:
                raise RecordError(f"{path} is cut off at byte {start}, inside the header of a record.")
            length, crc = _HEADER.unpack(header)
            if crc != _masked_crc(header[:8]):
                raise RecordError(f"{path} is damaged at byte {start}: no TFRecord header with a valid checksum there.")
            yield _read_data(file, length, path, start)


def _read_data(file: BinaryIO, length: int, path: Path, start: int) -> bytes:
    data, footer = file.read(length), file.read(_FOOTER.size)
    if len(data) < length or len(footer) < _FOOTER.size:
        raise RecordError(f"{path} is cut off: the record at byte {start} should hold {length} bytes.")
    if _FOOTER.unpack(footer)[0] != _masked_crc(data):
        raise RecordError(f"{path} is damaged: the data of the record at byte {start} do not match their checksum.")
    return data


def _masked_crc(data: bytes) -> int:
    return mask_crc(google_crc32c.value(data))


def mask_crc(crc: int) -> int:
    """Returns a CRC32C as TensorFlow stores it: rotated and offset.

    A plain CRC of data that contains its own CRC would detect fewer errors.
    """
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
