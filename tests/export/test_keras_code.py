"""Keras files that need code: Lambda layers, replaced layers, custom objects and subclassed models."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.export import custom_layers
from tests.export.keras_outputs import floats, outputs_of, save
from tests.support import keras_models
from tfx_export.errors import SourceError
from tfx_export.exporting.sources import keras as keras_source
from tfx_export.exporting.sources.keras_file import inspect_keras_file
from tfx_export.exporting.sources.keras_options import KerasOptions


def lambda_file(library: str, path: Path) -> Path:
    keras = keras_models.library(library)
    given = keras.Input((2,), name="x")
    return save(keras.Model(given, keras.layers.Lambda(lambda x: x * 2.0, name="twice")(given)), path)


LAMBDAS = [("keras", ".keras"), ("keras", ".h5"), ("tf_keras", ".h5"), ("tf_keras", ".keras")]


@pytest.mark.parametrize(("library", "suffix"), LAMBDAS)
def test_code_in_a_file_runs_only_if_it_is_trusted(tmp_path: Path, library: str, suffix: str) -> None:
    path = lambda_file(library, tmp_path / f"m{suffix}")
    with pytest.raises(SourceError, match=r"holds Python code, in the Lambda layers twice"):
        inspect_keras_file(path)
    rows = np.ones((1, 2), np.float32)
    assert outputs_of(path, {"x": rows}, KerasOptions(trust_lambda=True))["twice"].tolist() == [[2, 2]]


def test_a_layer_that_loads_a_saved_model_needs_trust_and_the_saved_model(tmp_path: Path) -> None:
    keras = keras_models.library("keras")
    module = tf.Module()
    module.weight = tf.Variable(3.0)
    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    module.serve = tf.function(lambda x: {"y": x * module.weight}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "inner"), signatures=module.serve)
    given = keras.Input((2,), name="x")
    layer = keras.layers.TFSMLayer(str(tmp_path / "inner"), call_endpoint="serving_default")
    path = save(keras.Model(given, layer(given)), tmp_path / "m.keras")
    with pytest.raises(SourceError, match="--trust-lambda"):
        keras_source.open_file(inspect_keras_file(path))
    trusting = KerasOptions(trust_lambda=True)
    assert outputs_of(path, {"x": np.ones((1, 2), np.float32)}, trusting)["y"].tolist() == [[3, 3]]
    (tmp_path / "inner").rename(tmp_path / "moved")
    with pytest.raises(SourceError, match="Copy the SavedModel there"):
        keras_source.open_file(inspect_keras_file(path, trusting))


@pytest.mark.parametrize("by", ["Scale", "times_three"])
@pytest.mark.parametrize(("library", "suffix"), LAMBDAS)
def test_a_layer_can_be_replaced(tmp_path: Path, library: str, suffix: str, by: str) -> None:
    path = lambda_file(library, tmp_path / f"m{suffix}")
    by = "Scale2" if by == "Scale" and library == "tf_keras" else by
    options = KerasOptions(replace_layers={"twice": f"{custom_layers.__name__}:{by}"})
    before = path.read_bytes()
    assert outputs_of(path, {"x": np.ones((1, 2), np.float32)}, options)["twice"].tolist() == [[3, 3]]
    assert path.read_bytes() == before


@pytest.mark.parametrize("reference", ["OBJECTS", "Scale"])
def test_custom_objects_are_loaded_by_reference(tmp_path: Path, reference: str) -> None:
    keras = keras_models.library("keras")
    given = keras.Input((2,), name="x")
    path = save(keras.Model(given, custom_layers.Scale(name="scaled")(given)), tmp_path / "m.keras")
    _forget_module(path)
    with pytest.raises(SourceError, match="--custom-objects"):
        keras_source.open_file(inspect_keras_file(path))
    options = KerasOptions(custom_objects=(f"{custom_layers.__name__}:{reference}",))
    assert outputs_of(path, {"x": np.ones((1, 2), np.float32)}, options)["scaled"].tolist() == [[3, 3]]


def _forget_module(path: Path) -> None:
    """Changes the file as if it came from another machine, on which a script defined the layer."""
    with zipfile.ZipFile(path) as archive:
        content = {item: archive.read(item) for item in archive.namelist()}
    content["config.json"] = content["config.json"].replace(custom_layers.__name__.encode(), b"script")
    with zipfile.ZipFile(path, "w") as archive:
        for item, data in content.items():
            archive.writestr(item, data)


def test_a_subclassed_model_is_exported(tmp_path: Path) -> None:
    keras_models.library("keras")
    model = custom_layers.Doubler()
    rows = floats(3, 4)
    expected = model(rows)
    path = save(model, tmp_path / "m.keras")
    options = KerasOptions(custom_objects=(f"{custom_layers.__name__}:Doubler",))
    np.testing.assert_allclose(outputs_of(path, {"rows": rows}, options)["output"], expected, rtol=1e-5)


@pytest.mark.parametrize(("places", "names"), [("ab", ["a", "b"]), ((0, 1), ["pair_0", "pair_1"])])
def test_a_subclassed_model_with_two_inputs_is_exported(tmp_path: Path, places: Any, names: list[str]) -> None:
    rows = floats(2, 3), floats(2, 3)
    model = custom_layers.Pair()
    given = dict(zip(places, rows, strict=True)) if places == "ab" else list(rows)
    expected = model(given)
    path = save(model, tmp_path / "m.keras")
    options = KerasOptions(custom_objects=(f"{custom_layers.__name__}:Pair",))
    found = outputs_of(path, dict(zip(names, rows, strict=True)), options)
    np.testing.assert_allclose(found["output"], expected, rtol=1e-5)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such layer": ({"replace_layers": {"thrice": "m:C"}}, "has no layer 'thrice' to replace.\nIts layers: "),
    "no such module": ({"replace_layers": {"twice": "nonsense:C"}}, "There is no module 'nonsense'"),
    "no such class": ({"replace_layers": {"twice": "json:C"}}, "json has no 'C'"),
    "no such architecture": ({"architecture": Path("no.json")}, "no.json cannot be read"),
    "invalid architecture": ({"architecture": Path(__file__)}, "is not valid JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_do_not_fit_the_file_are_refused(tmp_path: Path, case: str) -> None:
    values, message = REFUSED[case]
    path = lambda_file("keras", tmp_path / "m.h5")
    with pytest.raises(SourceError, match=message):
        keras_source.open_file(inspect_keras_file(path, KerasOptions(**values)))
