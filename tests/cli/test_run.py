"""`tfx-export run` calls a signature with inputs from files, expressions and examples, and never writes pickles."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import tfx_export


def test_inputs_come_from_expressions_files_and_defaults(saved_models: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", features=np.eye(3), other=np.ones(2))
    inputs = ("--inputs", f"x={tmp_path}/data.npz[features]")
    done = tfx_export("run", "--dir", saved_models / "tf1_linear", *inputs, "--outdir", tmp_path / "out")
    assert done.stdout == "Result for output key y:\n[[1.]\n [2.]\n [3.]]\n"
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "y.npy", allow_pickle=False), [[1], [2], [3]])
    scaled = (*inputs, "--input_exprs", "scale=2.0; x=np.ones((1,3))", "--json", "--npz", tmp_path / "out.npz")
    assert json.loads(tfx_export("run", "--dir", saved_models / "tf1_linear", *scaled).stdout) == {"y": [[12.0]]}
    with np.load(tmp_path / "out.npz", allow_pickle=False) as written:
        np.testing.assert_array_equal(written["y"], [[12]])


def test_a_classifier_takes_examples_and_its_strings_are_written_without_pickle(
    saved_models: Path, tmp_path: Path
) -> None:
    done = tfx_export(
        *("run", "--dir", saved_models / "tf1_tag_sets", "--tag_set", "serve", "--outdir", tmp_path, "--json"),
        *("--input_examples", "inputs=[{'x': [1.0, 2.0]}, {'x': [False, 1.0]}]"),
    )
    assert json.loads(done.stdout) == {"classes": [["5.000000"], ["2.000000"]], "scores": [[5.0], [2.0]]}
    assert np.load(tmp_path / "classes.npy", allow_pickle=False).tolist() == [[b"5.000000"], [b"2.000000"]]


def test_an_error_of_the_model_is_reported(saved_models: Path) -> None:
    arguments = ("--tag_set", "serve", "--input_exprs", "inputs=['no example']")
    assert "refuses" in tfx_export("run", "--dir", saved_models / "tf1_tag_sets", *arguments, code=2).stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--input_exprs"),
        (["--input_exprs", "z=1"], "takes: scale (DT_FLOAT []), x (DT_FLOAT [?, 3])"),
        (["--input_exprs", "scale=1.0"], "'x' of signature 'serving_default' is missing"),
        (["--input_exprs", "x=[1.0]"], "has shape [1]"),
        (["--input_exprs", "x=[[1, 2, 3], [4]]"], "takes DT_FLOAT"),
        (["--input_exprs", "x=[['a', 'b', 'c']]"], "takes DT_FLOAT"),
        (["--input_exprs", "nonsense"], "takes NAME=VALUE"),
        (["--input_examples", "x={}"], "list of dictionaries"),
        (["--inputs", "x=absent.npy"], "Cannot read absent.npy"),
        (["--signature_def", "other", "--input_exprs", "x=1"], "Signatures: serving_default"),
    ],
)
def test_inputs_that_do_not_fit_the_signature_are_refused_before_the_model_is_loaded(
    options: list[str], message: str, saved_models: Path
) -> None:
    done = tfx_export("run", "--dir", saved_models / "tf1_linear", *options, code=2)
    assert message in done.stderr


def test_a_fraction_is_refused_for_an_integer_input(saved_models: Path) -> None:
    done = tfx_export(
        "run", "--dir", saved_models / "tf1_text", "--signature_def=labels", "--input_exprs=x=[0.5]", code=2
    )
    assert "takes DT_INT64" in done.stderr


def test_a_sparse_input_is_refused_by_name(saved_models: Path) -> None:
    options = ("--input_exprs", "sparse=[[1.0]];ragged=[1]")
    assert "is a sparse tensor" in tfx_export("run", "--dir", saved_models / "tf1_sparse", *options, code=2).stderr


class Surprise:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code ran",)


def test_a_damaged_array_file_is_reported(saved_models: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.eye(3))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "data.npz").read_bytes()[:200])
    inputs = ("--inputs", f"x={tmp_path}/cut.npz")
    assert "cut.npz is damaged" in tfx_export("run", "--dir", saved_models / "tf1_linear", *inputs, code=2).stderr


@pytest.mark.parametrize("kind", ["pickle", "npy", "npz"])
def test_pickles_are_not_read(kind: str, saved_models: Path, tmp_path: Path) -> None:
    file = tmp_path / f"data.{kind}"
    content = np.array([Surprise()], object)
    if kind == "pickle":
        file.write_bytes(pickle.dumps(content))
    elif kind == "npy":
        np.save(file, content)
    else:
        np.savez(file, x=content)
    done = tfx_export("run", "--dir", saved_models / "tf1_linear", "--inputs", f"x={file}", code=2)
    assert "code ran" not in done.stdout + done.stderr
    assert "run" in done.stderr


def test_an_existing_output_is_not_overwritten_without_the_option(saved_models: Path, tmp_path: Path) -> None:
    (tmp_path / "out.npz").write_text("mine")
    command = ("run", "--dir", saved_models / "tf1_linear", "--input_exprs", "x=np.ones((1,3))")
    assert "--overwrite" in tfx_export(*command, "--npz", tmp_path / "out.npz", code=4).stderr
    assert (tmp_path / "out.npz").read_text() == "mine"
    tfx_export(*command, "--npz", tmp_path / "out.npz", "--overwrite")
    with np.load(tmp_path / "out.npz") as written:
        assert written.files == ["y"]
