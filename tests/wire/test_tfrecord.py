"""TensorFlow reads our TFRecord files, and we read those of TensorFlow. Errors say where a file is damaged."""

import os
from pathlib import Path

import pytest

from tfx_export.wire.tfrecord import RecordError, frame, read_records, write_records

RECORDS = [b"", b"one", bytes(range(256)) * 300]


def test_tensorflow_reads_our_files(tmp_path: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    write_records(tmp_path / "ours", RECORDS)
    assert list(tf.data.TFRecordDataset(str(tmp_path / "ours")).as_numpy_iterator()) == RECORDS


def test_files_of_tensorflow_are_read(tmp_path: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in RECORDS:
            writer.write(record)
    assert list(read_records(tmp_path / "theirs")) == RECORDS
    assert (tmp_path / "theirs").read_bytes() == b"".join(frame(record) for record in RECORDS)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda data: data[:5], "cut off at byte 0"),
        (lambda data: data[:-1], "record at byte 19 should hold 3 bytes"),
        (lambda data: b"\xff" * 8 + data[8:], "damaged at byte 0"),
        (lambda data: data.replace(b"two", b"owt"), "record at byte 19 do not match"),
        (lambda data: data + b"\n", "cut off at byte 38"),
    ],
)
def test_the_error_gives_the_position_of_the_damage(tmp_path: Path, damage: object, text: str) -> None:
    assert callable(damage)
    path = tmp_path / "log"
    path.write_bytes(damage(frame(b"one") + frame(b"two")))
    with pytest.raises(RecordError, match=text):
        list(read_records(path))
