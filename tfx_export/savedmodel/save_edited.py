"""Saves an edited SavedModel, as a copy or in place. Both are atomic."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from google.protobuf import text_format

from tfx_export import wire
from tfx_export.errors import PublishError
from tfx_export.savedmodel import export_record, warmup_requests
from tfx_export.savedmodel.publish import publish, staging, translate_os_errors
from tfx_export.savedmodel.reader import BINARY, TEXT, signatures
from tfx_export.savedmodel.version_folders import is_number
from tfx_export.wire.tfrecord import frame, read_records

# They belong to the old SavedModel file: its hash, and its conversion.
_STALE = ("fingerprint.pb", export_record.TFLITE)


def save_copy(folder: Path, index: wire.SavedModelIndex, renames: warmup_requests.RequestRenames, out: Path) -> None:
    """Copies the SavedModel in `folder` to `out`, with `index` as its SavedModel file and renamed warmup requests.

    Raises PublishError if `out` exists or the file system refuses.
    """
    if out.exists():
        raise PublishError(f"{out} exists already.", hint="Choose another --out, or edit --in-place.")
    with staging(out.parent) as staged, translate_os_errors(out):
        shutil.copytree(folder, staged, dirs_exist_ok=True)
        save_in_place(staged, index, renames)
        if is_number(out.name):
            publish(staged, out.name)
        else:
            staged.rename(out)


def save_in_place(folder: Path, index: wire.SavedModelIndex, renames: warmup_requests.RequestRenames) -> None:
    """Makes `index` the SavedModel file in `folder`. Raises PublishError if the file system refuses.

    Files that do not fit the new SavedModel file are removed first and rewritten last, so that every state in between
    is a complete SavedModel.
    """
    file = folder / (BINARY if (folder / BINARY).is_file() else TEXT)
    warmups = _renamed_warmups(folder, index, renames)
    old_record = export_record.read(folder)
    with translate_os_errors(folder):
        for name in (*_STALE, warmup_requests.WARMUP_FILE):
            (folder / name).unlink(missing_ok=True)
        if old_record:
            export_record.write(folder, replace(old_record, verification=None, accelerated=None))
        _replace(file, _serialized(index, file.name))
        if warmups:
            _replace(folder / warmup_requests.WARMUP_FILE, b"".join(map(frame, warmups)))


def _serialized(index: wire.SavedModelIndex, name: str) -> bytes:
    data = index.SerializeToString()
    if name == BINARY:
        return data
    return text_format.MessageToString(wire.SavedModel.FromString(data), descriptor_pool=wire.POOL).encode()


def _renamed_warmups(folder: Path, index: wire.SavedModelIndex, renames: warmup_requests.RequestRenames) -> list[bytes]:
    path = folder / warmup_requests.WARMUP_FILE
    if not path.is_file():
        return []
    # A server loads one meta graph, and requests do not say which.
    known = {name: each for meta in index.meta_graphs for name, each in signatures(meta).items()}
    return list(renames.apply(read_records(path), known))


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.tmp")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
