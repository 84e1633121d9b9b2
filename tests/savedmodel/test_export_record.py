"""A record is read as it was written. A LiteRT model counts as proven only if its bytes are those that were checked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tfx_export.errors import SavedModelError
from tfx_export.savedmodel import export_record
from tfx_export.savedmodel.export_record import Accelerated, Check, ExportRecord, Source, Verification


def check(signature: str, verdict: export_record.Verdict, output: str = "y") -> Check:
    return Check(signature, output, "DT_FLOAT", verdict, 1e-7, 1e-4)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    (tmp_path / "variables").mkdir()
    for name in ("saved_model.pb", "model.tflite", "variables/variables.index"):
        (tmp_path / name).write_text(name)
    checks = (check("a", "equal"), check("a", "unproven", "z"), check("dead", "unproven"), check("off", "differs"))
    digest = export_record.sha256(tmp_path / "model.tflite")
    names = tuple(dict.fromkeys(one.signature for one in checks))
    accelerated = Accelerated(
        digest, "float32", export_record.file_hashes(tmp_path), names, {"b": "ParseExample"}, checks
    )
    whole = ExportRecord(
        tool="1.0",
        created="2026-01-01T00:00:00Z",
        source=Source("keras", "model.h5", "00"),
        libraries={"keras": "3"},
        spec={"tags": ["serve"]},
        verification=Verification("data.npz", checks),
        accelerated=accelerated,
    )
    export_record.write(tmp_path, whole)
    assert export_record.read(tmp_path) == whole
    return tmp_path


def test_only_signatures_with_an_equal_output_and_no_difference_are_proven(version: Path) -> None:
    assert export_record.proven_signatures(version) == ("a",)


@pytest.mark.parametrize("name", ["saved_model.pb", "model.tflite", "variables/variables.index"])
@pytest.mark.parametrize("change", [lambda path: path.write_text("else"), lambda path: path.unlink()])
def test_no_signature_is_proven_if_a_file_changed(version: Path, name: str, change: Callable[[Path], object]) -> None:
    change(version / name)
    assert export_record.proven_signatures(version) == ()


def test_a_folder_without_a_record_gives_none(tmp_path: Path) -> None:
    assert export_record.read(tmp_path) is None
    assert export_record.proven_signatures(tmp_path) == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tool": 1, "source": null, "verification": null, "surplus": 2}'])
def test_an_invalid_record_raises_an_error_and_proves_nothing(version: Path, text: str) -> None:
    (version / export_record.RECORD_FILE).write_text(text)
    with pytest.raises(SavedModelError, match="not a valid record"):
        export_record.read(version)
    assert export_record.proven_signatures(version) == ()


def test_a_record_without_optional_parts_is_read_as_written(tmp_path: Path) -> None:
    bare = replace(ExportRecord("1.0", "now"), libraries={"python": "3.11"})
    export_record.write(tmp_path, bare)
    assert export_record.read(tmp_path) == bare


def test_the_hash_of_a_folder_depends_on_names_and_contents(tmp_path: Path) -> None:
    digests = set()
    for name, text in [("a", "1"), ("a", "2"), ("b", "2")]:
        folder = tmp_path / f"{name}{text}"
        folder.mkdir()
        (folder / name).write_text(text)
        digests.add(export_record.sha256(folder))
    assert len(digests) == 3
