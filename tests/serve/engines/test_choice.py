"""LiteRT runs the signatures for which exactly this file was proven equal, TensorFlow the rest; flags override it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serve import engines
from serve.config import Config
from serve.engines.choice import LITERT, TENSORFLOW, Assignment, assign
from tests.support import three_signatures
from tfx_export.savedmodel import export_record

pytest.importorskip("ai_edge_litert")

AUTO, MIXED = Config(), {"tensorflow": ("classify", "image"), "litert": ("serving_default",)}


def untouched(version: Path) -> None: ...


def another_file(version: Path) -> None:
    (version / export_record.TFLITE).write_bytes((version / export_record.TFLITE).read_bytes() + b"\0")


def other_variables(version: Path) -> None:
    (version / "variables" / "variables.index").write_bytes(b"")


def no_record(version: Path) -> None:
    (version / export_record.RECORD_FILE).unlink()


def unproven_signature(version: Path) -> None:
    kept = json.loads((version / export_record.RECORD_FILE).read_text())
    kept["accelerated"]["checks"][0]["verdict"] = "unproven"
    (version / export_record.RECORD_FILE).write_text(json.dumps(kept))


def only_saved_model(version: Path) -> None:
    (version / export_record.TFLITE).unlink()


def only_lite_model(version: Path) -> None:
    (version / "saved_model.pb").unlink()


@pytest.mark.parametrize(
    ("change", "config", "expected"),
    [
        (untouched, AUTO, MIXED),
        (another_file, AUTO, TENSORFLOW),
        (other_variables, AUTO, TENSORFLOW),
        (no_record, AUTO, TENSORFLOW),
        (unproven_signature, AUTO, TENSORFLOW),
        (only_saved_model, AUTO, TENSORFLOW),
        (only_lite_model, AUTO, LITERT),
        (no_record, Config(prefer_tflite_model=True), LITERT),
        (only_saved_model, Config(prefer_tflite_model=True), TENSORFLOW),
        (no_record, Config(engine="litert"), LITERT),
        (untouched, Config(engine="tensorflow"), TENSORFLOW),
        (untouched, Config(saved_model_tags="gpu"), TENSORFLOW),
    ],
)
def test_the_content_of_the_version_chooses_the_engines(
    tmp_path: Path, accelerated: Path, change: Callable[[Path], None], config: Config, expected: Assignment
) -> None:
    version = shutil.copytree(accelerated, tmp_path / "1")
    change(version)
    assert assign(version, config) == expected


def test_a_version_on_two_engines_answers_every_signature(accelerated: Path) -> None:
    model = engines.load(accelerated, AUTO)
    assert model.engine == "tensorflow: classify, image; litert: serving_default"
    assert set(model.signatures) == {"serving_default", "classify", "image"}
    x = np.random.default_rng(0).standard_normal((2, 12)).astype(np.float32)
    lite = engines.load(accelerated, Config(engine="litert")).run("serving_default", {"x": x}, ["y"])["y"]
    np.testing.assert_array_equal(model.run("serving_default", {"x": x}, ["y"])["y"], lite)
    examples = np.array([_example(row) for row in x], object)
    expected = three_signatures.answer(three_signatures.weights(), "classify", {"inputs": examples})
    answers = model.run("classify", {"inputs": examples}, ["classes", "scores"])
    np.testing.assert_allclose(answers["scores"], expected["scores"], rtol=1e-5)
    assert answers["classes"].tolist() == expected["classes"].tolist()
    model.close()


def _example(row: np.ndarray) -> bytes:
    from tfx_export import wire

    example = wire.Example()
    example.features.feature["x"].float_list.value.extend(row.tolist())
    serialized: bytes = example.SerializeToString()
    return serialized
