"""`tfx-export versions` shows how versions differ; `rollback` publishes an earlier version again as the newest."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import tfx_export
from tfx_export.savedmodel.export_record import file_hashes
from tfx_export.savedmodel.version_folders import list_versions


@pytest.fixture
def model(saved_models: Path, tmp_path: Path) -> Path:
    """A model with the versions 1 (predict only), 2 (one more signature) and 3 (different inputs)."""
    for version, name in enumerate(("tf2_unsigned", "tf2_polymorphic", "keras3_export"), 1):
        shutil.copytree(saved_models / name, tmp_path / "m" / str(version))
    return tmp_path / "m"


def test_versions_show_what_changed_since_the_one_before(model: Path) -> None:
    blocks = tfx_export("versions", model).stdout.split("\n")
    assert [line[0] for line in blocks if line and line[0] != " "] == ["3", "2", "1"]
    entries = {entry["version"]: entry for entry in json.loads(tfx_export("versions", model, "--json").stdout)}
    assert [(change["verdict"], change["where"]) for change in entries[2]["changes"]] == [("compatible", "any")]
    assert ("breaking", "any") in [(change["verdict"], change["where"]) for change in entries[3]["changes"]]
    assert entries[1]["changes"] == []
    assert "! any: is gone" in "\n".join(blocks)


def test_a_broken_version_is_listed_with_its_problem(model: Path) -> None:
    (model / "3" / "saved_model.pb").write_bytes(b"cut")
    assert "damaged" in tfx_export("versions", model).stdout.splitlines()[0]


def test_a_folder_without_versions_is_an_error(tmp_path: Path) -> None:
    assert "is not a folder of versions: it is an empty folder" in tfx_export("versions", tmp_path, code=3).stderr
    assert "does not exist" in tfx_export("versions", tmp_path / "m", code=3).stderr


def test_a_rollback_publishes_the_earlier_version_again_and_a_second_one_undoes_it(model: Path) -> None:
    before = {number: file_hashes(folder) for number, folder in list_versions(model).items()}
    assert "Version 2 is published again" in tfx_export("rollback", model).stdout
    assert "Version 3 is published again" in tfx_export("rollback", model).stdout
    after = {number: file_hashes(folder) for number, folder in list_versions(model).items()}
    assert after == {**before, 4: before[2], 5: before[3]}
    assert sorted(path.name for path in model.iterdir()) == ["1", "2", "3", "4", "5"]
    entries = {entry["version"]: entry for entry in json.loads(tfx_export("versions", model, "--json").stdout)}
    assert (entries[4]["same_as"], entries[5]["same_as"], entries[3]["same_as"]) == (2, 3, None)


def test_a_rollback_can_go_to_a_given_version(model: Path) -> None:
    tfx_export("rollback", model, "--to", "1")
    assert file_hashes(model / "4") == file_hashes(model / "1")


def test_edits_of_the_new_version_do_not_change_the_old_one(model: Path) -> None:
    before = file_hashes(model / "2")
    tfx_export("rollback", model, "--to", "2")
    tfx_export("sig", "rename", "any", "every", "--dir", model / "4", "--in-place")
    assert file_hashes(model / "2") == before != file_hashes(model / "4")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [(["--to", "7"], 3, "Versions: 3, 2, 1"), (["--to", "3"], 3, "is the newest"), (["--to", "x"], 2, "integer")],
)
def test_a_refused_rollback_changes_nothing(arguments: list[str], code: int, message: str, model: Path) -> None:
    assert message in tfx_export("rollback", model, *arguments, code=code).stderr
    assert sorted(path.name for path in model.iterdir()) == ["1", "2", "3"]


def test_a_rollback_to_a_broken_version_is_refused(model: Path) -> None:
    (model / "2" / "saved_model.pb").unlink()
    assert "not a valid SavedModel" in tfx_export("rollback", model, code=2).stderr
    assert sorted(path.name for path in model.iterdir()) == ["1", "2", "3"]


def test_a_single_version_cannot_be_rolled_back(saved_models: Path, tmp_path: Path) -> None:
    shutil.copytree(saved_models / "tf1_linear", tmp_path / "1")
    assert "no earlier version" in tfx_export("rollback", tmp_path, code=3).stderr
