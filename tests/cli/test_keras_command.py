"""`tfx-export keras` as a user types it: its output, the files that it leaves, and its exit code."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from tests.support import keras_models
from tests.support.terminal import on_a_terminal
from tfx_export.cli import main
from tfx_export.cli.keras import command
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.version_folders import list_versions

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 9\n"


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    return int(exit_.value.code or 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keras_models.save("dense", "keras", tmp_path_factory.mktemp("model") / "digits.h5")


def test_the_output_names_the_new_version_and_the_next_command(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("keras", model, "--out", "models/digits", "--output_name", "scores=probabilities") == 0
    out = capsys.readouterr().out
    assert "Exported digits.h5 (Keras 3" in out
    assert "models/digits/1" in out
    assert "serving_default  tensorflow/serving/predict" in out
    assert "DT_FLOAT  (any, 8)" in out
    assert "probabilities" in out
    assert out.endswith("Next: tfx-export serve models/digits\n")


def test_json_prints_only_json_and_quiet_prints_nothing(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("keras", model, "--out", tmp_path / "m", "--version", "12", "--json", "--no-verify") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["version"] == 12
    assert result["path"] == str(tmp_path / "m" / "12")
    assert result["bytes"] == sum(path.stat().st_size for path in (tmp_path / "m").rglob("*") if path.is_file())
    assert result["signatures"]["serving_default"]["inputs"] == {"pixels": {"dtype": "DT_FLOAT", "shape": [None, 8]}}
    assert run("keras", model, "--out", tmp_path / "m", "-q", "--no-verify") == 0
    assert capsys.readouterr() == ("", "")


def test_a_separate_process_prints_nothing_to_stderr_and_uses_tensorflow_as_backend(
    tmp_path: Path, model: Path
) -> None:
    typed = [sys.executable, "-m", "tfx_export", "keras", str(model), "--out", str(tmp_path / "m")]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(typed, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    assert "serving_default / scores  equal" in done.stdout


def weights_only(path: Path, model: Path) -> None:
    keras = keras_models.library("keras")
    keras.models.load_model(model).save_weights(path.with_name("w.weights.h5"))
    path.with_name("w.weights.h5").rename(path)


def other_zip(path: Path, model: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.txt", "x")


BAD_FILES: dict[str, tuple[str, Callable[[Path, Path], object], str]] = {
    "missing": ("digit.h5", lambda path, model: None, "digit.h5 does not exist"),
    "empty": ("m.h5", lambda path, model: path.touch(), "it is an empty file"),
    "text": ("m.h5", lambda path, model: path.write_text("hello\nworld"), "it is a text file that begins 'hello'"),
    "json": ("m.h5", lambda path, model: path.write_text('{"class_name": 1}'), "it is a file of JSON text"),
    "web page": ("m.keras", lambda path, model: path.write_text("<!DOCTYPE html>"), "it is a web page"),
    "LFS pointer": ("m.h5", lambda path, model: path.write_bytes(LFS), "Git LFS pointer"),
    "bytes": ("m.h5", lambda path, model: path.write_bytes(bytes(range(256)) * 9), "it is a binary file"),
    "truncated h5": ("m.h5", lambda path, model: path.write_bytes(model.read_bytes()[:9000]), "damaged HDF5 file"),
    "weights only": ("m.h5", weights_only, "it is a file of Keras weights without their model"),
    "other h5": ("m.h5", lambda path, model: h5py.File(path, "w").close(), "it is an HDF5 file without a Keras model"),
    "other zip": ("m.keras", other_zip, "it holds no config.json"),
    "truncated .keras": (
        "m.keras",
        lambda path, model: path.write_bytes(b"PK\x03\x04" + bytes(99)),
        "a damaged .keras",
    ),
    "folder": ("m.h5", lambda path, model: path.mkdir(), "it is an empty folder"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_an_invalid_model_file_gives_one_message_and_writes_nothing(
    case: str, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make, message = BAD_FILES[case]
    make(tmp_path / name, model)
    capsys.readouterr()
    assert run("keras", tmp_path / name, "--out", tmp_path / "out") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_bad_input_is_refused_without_importing_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "m.h5").write_bytes(LFS)
    code = f"""
import sys
from tfx_export.cli import main
from tfx_export.cli.keras import command
from tfx_export.savedmodel.reader import read_signatures
from tfx_export.savedmodel.version_folders import list_versions
try:
    main(["keras", {str(tmp_path / "m.h5")!r}, "--out", {str(tmp_path / "out")!r}])
except SystemExit as end:
    assert end.code == 2
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--version", "one"], 3, "'one' is not a version number"),
        (["--input-name", "pixels"], 2, "takes NAME=VALUE"),
        (["--input-name", "x=y"], 2, "Its inputs: 'pixels'"),
        (["--no-such-option"], 2, "No such option"),
    ],
)
def test_wrong_options_are_refused(
    args: list[str], code: int, message: str, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("keras", model, "--out", tmp_path / "out", *args) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_progress_is_shown_on_a_terminal(tmp_path: Path, model: Path) -> None:
    drawn = on_a_terminal("keras", model, "--out", tmp_path / "m", "--no-verify")
    seen = re.findall(r"(\d)/(\d) ([A-Z][A-Za-z ]+[a-z]) +\d:\d\d:\d\d", drawn)
    assert {total for _, total, _ in seen} == {"5"}
    assert ("1", "5", "Loading the model") in seen
    done, _, shown = drawn.rpartition("Exported digits.h5")
    assert "Loading the model" in done
    assert "Next: tfx-export serve" in shown


def test_an_existing_version_is_refused(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("keras", model, "--out", tmp_path, "--version", "3", "-q", "--no-verify") == 0
    assert run("keras", model, "--out", tmp_path, "--version", "3", "-q") == 3
    assert "--overwrite" in capsys.readouterr().err


def test_signatures_labels_and_tags_can_be_given_as_flags(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\n")
    args = ["--signature", "raw=predict", "--signature", "classify", "--labels", labels, "--top-k", "2"]
    args += ["--tags", "serve,gpu", "--as-text", "--no-verify", "--json"]
    assert run("keras", model, "--out", tmp_path / "m", *args) == 0
    written = json.loads(capsys.readouterr().out)["signatures"]
    assert set(written) == {"serving_default", "raw", "classify"}
    assert written["serving_default"] == written["raw"]
    assert written["classify"]["outputs"]["classes"] == {"dtype": "DT_STRING", "shape": [None, 2]}
    assert read_signatures(tmp_path / "m" / "1", ("serve", "gpu"))["classify"].method == "tensorflow/serving/classify"
    assert (tmp_path / "m" / "1" / "saved_model.pbtxt").is_file()


def test_init_writes_a_valid_spec_for_the_signatures_option(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("init", "keras", model) == 0
    (tmp_path / "spec.yaml").write_text(capsys.readouterr().out)
    args = ["--signatures", tmp_path / "spec.yaml", "--no-verify"]
    assert run("keras", model, "--out", tmp_path / "m", *args, "--labels", "l.txt") == 2
    assert "not from both" in capsys.readouterr().err
    assert run("keras", model, "--out", tmp_path / "m", *args) == 0
    assert set(read_signatures(tmp_path / "m" / "1")) == {"predict", "serving_default"}


def test_keep_prunes_old_versions_after_publishing(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("3", "4", "7", "next"):
        args = ["--out", tmp_path, "--version", version, "--keep", "2", "--no-verify"]
        assert run("keras", model, *args) == 0
    assert "Removed version 4" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8"]


def test_custom_layers_are_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keras = keras_models.library("keras")
    given = keras.Input((2,), name="x")
    keras.Model(given, keras.layers.Lambda(lambda x: x * 2.0, name="twice")(given)).save(tmp_path / "m.keras")
    (tmp_path / "layers_of_mine.py").write_text("def double(x):\n    return x * 2.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert run("keras", "m.keras", "--out", "m", "--no-verify") == 2
    assert "--replace-layer twice=module:Class" in capsys.readouterr().err
    replace = ["--replace-layer", "twice=layers_of_mine:double"]
    assert run("keras", "m.keras", "--out", "m", "--no-verify", *replace) == 0
    assert set(read_signatures(tmp_path / "m" / "1")["serving_default"].outputs) == {"twice"}


@pytest.mark.parametrize(
    "option", [name for option in command.params for name in (*option.opts, *option.secondary_opts)]
)
def test_every_option_is_documented(option: str) -> None:
    documents = "".join(path.read_text() for path in (Path(__file__).parents[2] / "docs").glob("*.md"))
    assert option in ("model", "-q", "-v", "--quiet", "--verbose", "--json", "--verify") or f"`{option}" in documents


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="on Windows, SIGTERM ends a process immediately")
@pytest.mark.parametrize(
    ("number", "codes"),
    # After Ctrl-C, Python may end itself with the signal although it was handled, if code from a string was running.
    [(signal.SIGTERM, {143}), (signal.SIGINT, {1, -signal.SIGINT}), (signal.SIGKILL, {-signal.SIGKILL})],
)
def test_an_interrupted_export_publishes_nothing(
    tmp_path: Path, model: Path, number: signal.Signals, codes: set[int]
) -> None:
    out = tmp_path / "m"
    typed = [sys.executable, "-m", "tfx_export", "keras", str(model), "--out", str(out), "--warmup=1"]
    with subprocess.Popen(typed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        # After the files are written, verification and the replay of warmup requests take seconds.
        deadline = time.monotonic() + 120
        while not list(out.glob("*/saved_model.pb")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        process.wait(60)
    assert process.returncode in codes
    assert not list_versions(out)
    assert out.exists() == (number == signal.SIGKILL)
    assert run("keras", model, "--out", out, "--no-verify", "-q") == 0
    assert [path.name for path in out.iterdir()] == ["1"]
