"""A damaged SavedModel file raises an error of this library or is read, but never raises another exception."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.diff import diff
from tfx_export.savedmodel.reader import read_index
from tfx_export.savedmodel.saved_model_cli_text import list_all
from tfx_export.savedmodel.scan import scan
from tfx_export.savedmodel.signature_editor import SignatureEditor
from tfx_export.savedmodel.summary import show


def edit(folder: Path) -> None:
    editor = SignatureEditor(folder)
    editor.rename("any", "every")
    editor.rename_input("serving_default", "x", "features")


READERS: dict[str, Callable[[Path], object]] = {
    "list": lambda folder: list(list_all(read_index(folder))),
    "show": lambda folder: show(folder).to_json(),
    "scan": scan,
    "diff": lambda folder: diff(folder, folder),
    "edit": edit,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_raises_only_errors_of_this_library(reader: str, saved_models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "1"
    shutil.copytree(saved_models / "tf2_polymorphic", folder)
    whole = (folder / "saved_model.pb").read_bytes()
    chance = random.Random(5)
    outcomes: Counter[str] = Counter()
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 2, 5])):
            damaged[chance.randrange(len(damaged))] = chance.choice([0, 8, 10, 18, 127, 128, 255])
        if chance.random() < 0.2:
            del damaged[chance.randrange(len(damaged)) :]
        (folder / "saved_model.pb").write_bytes(damaged)
        try:
            READERS[reader](folder)
            outcomes["read"] += 1
        except SavedModelError:
            outcomes["refused"] += 1
    assert outcomes["read"] > 10
    assert outcomes["refused"] > 10
