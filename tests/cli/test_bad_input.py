"""Wrong arguments and files for an export give a helpful message and a documented exit code, and nothing is written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from tests.support import keras_models, tf1_models
from tfx_export.cli import main

TAKES_RANK_2 = "signatures: {raw: {inputs: {pixels: {source: pixels, shape: [null, 2, 4]}}}}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid model of each kind, and invalid files next to them."""
    folder = tmp_path_factory.mktemp("given")
    keras_models.save("dense", "keras", folder / "digits.keras")
    tf1_models.save_checkpoint(folder / "training", tf1_models.segmenter)
    (folder / "twice.yaml").write_text("signatures: {a: {}, a: {}}")
    (folder / "unclosed.yaml").write_text("signatures: [a")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (folder / "rank.yaml").write_text(TAKES_RANK_2)
    (folder / "typo.yaml").write_text("signatures: {a: {metod: predict}}")
    (folder / "labels.txt").write_text("one\ntwo\n")
    np.savez(folder / "probe.npz", image=np.zeros((2, 8)))
    (folder / "cut.npz").write_bytes((folder / "probe.npz").read_bytes()[:200])
    return folder


KERAS, SESSION = ("keras", "digits.keras"), ("session", "training/model.ckpt-7.meta")
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "missing model": (("keras", "digit.keras"), "Did you mean digits.keras?"),
    "remote model": (("savedmodel", "gs://bucket/m"), "gs://bucket/m is not a local folder or file: copy it to this"),
    "remote asset": ((*KERAS, "--assets", "s3://bucket/a"), "s3://bucket/a is not a local folder or file: copy it to"),
    "missing checkpoint": (("session", "model.meta"), " holds: binary.yaml, "),
    "missing SavedModel": (("savedmodel", "nowhere"), "nowhere does not exist"),
    "missing module": (("function", "nowhere:f"), "There is no module 'nowhere'"),
    "file in place of a module": (("function", "code/model.py:f"), "Write model:f in the folder code"),
    "missing spec": ((*KERAS, "--signatures", "twic.yaml"), "Did you mean twice.yaml?"),
    "missing labels": ((*KERAS, "--signature", "classify", "--labels", "label.txt"), "Did you mean labels.txt?"),
    "missing asset": ((*KERAS, "--assets", "label.txt"), "There is no assets file label.txt"),
    "missing probe": ((*KERAS, "--probe", "prob.npz"), "Did you mean probe.npz?"),
    "missing warmup": ((*KERAS, "--warmup-from", "log.tfrecord"), "There is no warmup file"),
    "folder as labels": ((*KERAS, "--signature", "classify", "--labels", "training"), "is a folder"),
    "duplicate keys": ((*KERAS, "--signatures", "twice.yaml"), "the key 'a' appears twice"),
    "broken YAML": ((*KERAS, "--signatures", "unclosed.yaml"), "unclosed.yaml, line 1, column 15"),
    "no text": ((*KERAS, "--signatures", "binary.yaml"), "not UTF-8 text"),
    "unknown key": ((*KERAS, "--signatures", "typo.yaml"), "did you mean 'method'"),
    "wrong rank": ((*KERAS, "--signatures", "rank.yaml"), "does not fit the model's float32 (any, 8)"),
    "wrong input": ((*KERAS, "--input-name", "pixel=x"), "Its inputs: 'pixels'"),
    "wrong output": ((*KERAS, "--output-name", "score=x"), "Its outputs: 'scores'"),
    "wrong tensor": ((*SESSION, "--input", "x=image:0", "--output", "y=segmentation_map"), "images:0"),
    "labels of another model": (
        (*KERAS, "--signature", "classify", "--labels", "labels.txt"),
        "has 2 labels, but the model has 4 classes",
    ),
    "damaged probe": ((*KERAS, "--probe", "cut.npz"), "cut.npz is not an .npz file of plain arrays"),
    "probe of another model": ((*KERAS, "--probe", "probe.npz"), "Name the arrays after inputs: pixels"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_a_helpful_message(
    case: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed, message = BAD[case]
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as end:
        main([*typed, "--out", str(tmp_path / "out")])
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert (end.value.code, out) == (2, "")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def full_device(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of one megabyte."""
    mounted = tmp_path / "device"
    mounted.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mounted], check=False)
    except FileNotFoundError:
        pytest.skip("the command mount is missing")
    if done.returncode:
        pytest.skip("only root can mount; test_a_full_device_publishes_nothing limits the file size instead")
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def test_a_full_device_is_reported(full_device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keras = keras_models.library("keras")
    keras.Sequential([keras.Input((400,)), keras.layers.Dense(4000)]).save(tmp_path / "large.keras")
    with pytest.raises(SystemExit) as end:
        main(["keras", str(tmp_path / "large.keras"), "--out", str(full_device / "m" / "large")])
    assert end.value.code == 4
    assert "No space left on device" in capsys.readouterr().err
    assert not list(full_device.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not have mode bits for the rights of the owner")
def test_a_read_only_target_is_reported(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "models"
    target.mkdir()
    target.chmod(0o555)
    typed = [sys.executable, "-m", "tfx_export", "keras", str(folder / "digits.keras"), "--out", str(target / "m")]
    if os.geteuid() == 0:  # Root may write everywhere, unless it drops that capability.
        if not which("setpriv"):
            pytest.skip("root can write everywhere, and the command setpriv is missing")
        typed = ["setpriv", "--bounding-set=-dac_override", *typed]
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert f"no permission to write in {target}" in done.stderr
    assert not list(target.iterdir())
