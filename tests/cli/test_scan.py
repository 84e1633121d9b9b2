"""`tfx-export scan` finds denied ops and bad values, and shows in its exit code whether it found any."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import tfx_export

NORMAL = (
    "tf1_linear", "tf1_text", "tf1_sparse", "keras3_export", "keras2_saved", "tf2_bare", "tf2_without_variables"
)  # fmt: skip


@pytest.mark.parametrize("model", NORMAL)
def test_normal_models_have_no_findings(model: str, saved_models: Path) -> None:
    assert "No findings in" in tfx_export("scan", "--dir", saved_models / model).stdout


def test_denied_ops_nan_and_infinite_values_are_found(saved_models: Path) -> None:
    done = tfx_export("scan", "--dir", saved_models / "tf1_unsafe", "--json", code=1)
    report = json.loads(done.stdout)
    found = {finding["name"]: finding for finding in report["findings"]}
    # "Const" is the initial value of "bad".
    assert set(found) == {"ReadFile", "PyFunc", "bad", "half", "constant", "Const"}
    assert "reads or writes files" in found["ReadFile"]["problem"]
    assert "calls Python" in found["PyFunc"]["problem"]
    assert found["bad"]["problem"] == "2 of 4 values are NaN, 1 of 4 values are infinite"
    assert found["half"]["problem"] == "1 of 2 values are infinite"
    assert found["constant"]["problem"].startswith("1 of 3 values are NaN")
    assert report["variables"] == 3


def test_the_denied_ops_can_be_replaced(saved_models: Path) -> None:
    clean = ("scan", "--dir", saved_models / "tf1_linear")
    assert "MatMul in node" in tfx_export(*clean, "--op_denylist", "MatMul,Conv2D", code=1).stdout
    unsafe = tfx_export("scan", "--dir", saved_models / "tf1_unsafe", "--op-denylist", "", code=1).stdout
    assert "ReadFile" not in unsafe
    assert "NaN" in unsafe


def test_only_the_graph_of_the_tag_set_is_scanned(saved_models: Path) -> None:
    arguments = ("scan", "--dir", saved_models / "tf1_tag_sets", "--op-denylist", "AsString")
    assert tfx_export(*arguments, code=1).stdout.count("AsString in node") == 3
    assert tfx_export(*arguments, "--tag_set", "serve,gpu", code=1).stdout.count("AsString in node") == 1


@pytest.mark.parametrize("damage", ["a flipped bit", "the end is missing", "the file is missing", "no index"])
def test_damaged_variables_are_found(damage: str, saved_models: Path, tmp_path: Path) -> None:
    shutil.copytree(saved_models / "tf1_linear", tmp_path / "1")
    data = tmp_path / "1" / "variables" / "variables.data-00000-of-00001"
    whole = data.read_bytes()
    if damage == "a flipped bit":
        data.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    elif damage == "the end is missing":
        data.write_bytes(whole[:-1])
    elif damage == "the file is missing":
        data.unlink()
    else:
        data.with_name("variables.index").unlink()
    assert "variable" in tfx_export("scan", "--dir", tmp_path / "1", code=1).stdout


def test_an_invalid_saved_model_gives_exit_code_2(tmp_path: Path) -> None:
    assert "not a valid SavedModel" in tfx_export("scan", "--dir", tmp_path, code=2).stderr
