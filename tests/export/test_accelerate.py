"""A LiteRT model is added for signatures with outputs equal to the SavedModel's; the others are listed with reasons."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support import three_signatures
from tfx_export.exporting.job import Extras
from tfx_export.exporting.pipeline import complete_version
from tfx_export.savedmodel import export_record
from tfx_export.savedmodel.export_record import PRECISIONS, Precision

pytest.importorskip("ai_edge_litert")
from ai_edge_litert.interpreter import Interpreter

SOURCE = partial(three_signatures.answer, three_signatures.weights())


def accelerated(folder: Path, precision: Precision, probe: Path | None = None) -> export_record.Accelerated:
    written = complete_version(
        folder,
        Extras(verify=False, accelerate=precision, probe=probe),
        SOURCE,
        tags=["serve"],
        source=None,
        spec={},
        report=lambda step: None,
    )
    assert written == export_record.read(folder)
    assert written.accelerated
    return written.accelerated


@pytest.mark.parametrize("precision", PRECISIONS)
def test_converted_signatures_are_proven_equal_and_the_others_have_a_reason(
    tmp_path: Path, classifier: Path, precision: Precision
) -> None:
    folder = shutil.copytree(classifier, tmp_path / "1")
    result = accelerated(folder, precision)
    assert result.signatures == ("serving_default",)
    assert result.left_out == {
        "classify": "LiteRT has no operator to parse tf.Example",
        "image": "LiteRT has no operator to decode images",
    }
    (check,) = result.checks
    assert check.verdict == "equal"
    assert check.error is not None
    assert check.error <= check.tolerance
    assert ("same top class in 5 of 5 rows" in check.note) == (precision != "float32")
    assert export_record.proven_signatures(folder) == ("serving_default",)
    kept = json.loads((folder / export_record.RECORD_FILE).read_text())["accelerated"]
    assert (kept["file"], kept["precision"]) == ("model.tflite", precision)
    assert kept["sha256"] == export_record.sha256(folder / "model.tflite")
    assert kept["of"] == export_record.file_hashes(classifier)


def test_int8_is_calibrated_with_the_probe_file(tmp_path: Path, classifier: Path) -> None:
    folder = shutil.copytree(classifier, tmp_path / "1")
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).standard_normal((30, 12)))
    calibrated = accelerated(folder, "int8", tmp_path / "data.npz")
    interpreter = Interpreter(model_path=str(folder / export_record.TFLITE))
    assert "QUANTIZE" in {operator["op_name"] for operator in interpreter._get_ops_details()}
    assert calibrated.checks[0].verdict == "equal"
    assert "of 30 rows" in calibrated.checks[0].note


def test_no_file_is_written_if_the_model_cannot_be_converted(tmp_path: Path) -> None:
    three_signatures.write_unconvertible(tmp_path / "1")
    result = accelerated(tmp_path / "1", "float32")
    assert result.signatures == ()
    assert result.left_out == {"serving_default": "LiteRT has no operator Betainc"}
    assert not (tmp_path / "1" / export_record.TFLITE).exists()
    assert export_record.proven_signatures(tmp_path / "1") == ()
