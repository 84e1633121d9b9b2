"""RecordFile: a TFRecord log with rotation, in files named `PREFIX-20261121T123001-00001.tfrecord`."""

import re
import time
from io import FileIO
from pathlib import Path

from tfx_export.wire import tfrecord

SUFFIX = ".tfrecord"


class RecordFile:
    """Appends records. Each is completely in the file when `append` returns."""

    def __init__(self, prefix: Path, max_bytes: int, max_files: int) -> None:
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._count = 0
        self._file: FileIO | None = None

    def append(self, record: bytes) -> None:
        """Writes one record, in a new file if the current one is full. Raises OSError."""
        framed = tfrecord.frame(record)
        if self._file is not None and self._file.tell() + len(framed) > self._max_bytes:
            self.close()
        if self._file is None:
            self._file = self._open()
        try:
            _write_all(self._file, framed)
        except OSError:
            # The file may end in half a record, so no other may follow.
            self.close()
            raise

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> FileIO:
        self._prefix.parent.mkdir(parents=True, exist_ok=True)
        while True:
            self._count += 1
            name = f"{self._prefix.name}-{time.strftime('%Y%m%dT%H%M%S')}-{self._count:05d}{SUFFIX}"
            try:
                file = FileIO(self._prefix.with_name(name), "xb")
            except FileExistsError:
                continue
            self._remove_oldest()
            return file

    def _remove_oldest(self) -> None:
        name = re.compile(re.escape(self._prefix.name) + r"-\d{8}T\d{6}-\d{5}" + re.escape(SUFFIX))
        files = sorted(path for path in self._prefix.parent.iterdir() if name.fullmatch(path.name))
        for path in files[: -self._max_files]:
            path.unlink(missing_ok=True)


def _write_all(file: FileIO, data: bytes) -> None:
    """Writes all of `data`: an unbuffered write may take only a part, e.g. if the disk is nearly full."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
