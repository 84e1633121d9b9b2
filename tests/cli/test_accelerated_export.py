"""`tfx-export keras --accelerate --warmup`: from a model file to a server that uses both engines."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import keras_models
from tests.support.command_line import tfx_export
from tests.support.server import running
from tfx_export.client import Model

pytest.importorskip("ai_edge_litert")


@pytest.mark.slow
def test_litert_serves_the_converted_signatures_and_tensorflow_the_others(tmp_path: Path) -> None:
    file = keras_models.save("dense", "keras", tmp_path / "digits.keras")
    (tmp_path / "labels.txt").write_text("zero\none\ntwo\nthree\n")
    signatures = ("--signature", "predict", "--signature", "classify", "--labels", tmp_path / "labels.txt")
    said = tfx_export("keras", file, "--out", tmp_path / "digits", *signatures, "--accelerate", "--warmup", "2").stdout
    assert "model.tflite, float32, compared with the SavedModel" in said
    assert "Not accelerated: classify: LiteRT has no operator to parse tf.Example" in said

    x = np.random.default_rng(0).random((3, 8)).astype(np.float32)
    expected = keras_models.library("keras").models.load_model(file)(x).numpy()
    with running(tmp_path, str(tmp_path / "digits")) as server, server.client as client:
        (version,) = server.ready["versions"]
        assert version["engine"] == "tensorflow: classify; litert: predict, serving_default"
        np.testing.assert_allclose(client.predict("digits", {"pixels": x})["scores"], expected, rtol=1e-5, atol=1e-6)
        (classes,) = client.classify(Model("digits", signature="classify"), [{"pixels": x[0].tolist()}])
        assert [label for label, _ in classes] == ["zero", "one", "two", "three"]
        np.testing.assert_allclose([score for _, score in classes], expected[0], rtol=1e-5, atol=1e-6)
