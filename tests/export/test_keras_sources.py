"""Each kind of Keras file is exported: by its Keras version, its content, and the options that it needs."""

import json
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests.export import custom_layers
from tests.export.keras_outputs import Inputs, floats, outputs_of, save
from tests.support import keras_models
from tests.support.loaders import run_in_session, run_loaded
from tfx_export import export_keras
from tfx_export.errors import SourceError
from tfx_export.exporting.job import Extras
from tfx_export.exporting.signatures.build_signature import build_signatures
from tfx_export.exporting.sources import keras as keras_source
from tfx_export.exporting.sources.keras_file import inspect_keras_file
from tfx_export.exporting.sources.keras_options import KerasOptions
from tfx_export.exporting.spec.model import ExportSpec

WORDS = np.array([["a"], ["b"], ["zz"]], object)


def functional(name: str, shape: tuple[int | None, ...], build: Callable[[Any, Any], Any], **more: Any) -> Any:
    """Returns a builder of a model with the input `name` and one output."""

    def make(keras: Any) -> Any:
        given = keras.Input(shape, name=name, **more)
        return keras.Model(given, build(keras.layers, given))

    return make


def lookup(**vocabulary: Any) -> Any:
    return functional(
        "word", (1,), lambda layers, x: layers.Embedding(6, 2)(layers.StringLookup(**vocabulary)(x)), dtype="string"
    )


def adapted(keras: Any) -> Any:
    text = keras.Input((1,), dtype="string", name="word")
    split = keras.layers.TextVectorization(output_sequence_length=4)
    split.adapt(np.array(["a b", "b c"]))
    return keras.Model(text, keras.layers.Embedding(9, 2)(split(text)))


def mixed(keras: Any) -> Any:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return functional("x", (3,), lambda layers, x: layers.Dense(2, dtype="float32")(layers.Dense(4)(x)))(keras)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def batches_of_four(keras: Any) -> Any:
    rows = keras.Input(batch_shape=(4, 3), name="x")
    return keras.Model(rows, keras.layers.Dense(2)(rows))


def operations_behind_a_mask(keras: Any) -> Any:
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    state = keras.layers.LSTM(3)(keras.layers.Embedding(9, 4, mask_zero=True)(tokens))
    return keras.Model(tokens, keras.ops.mean(state, axis=-1, keepdims=True) * 2.0)


MODELS: dict[str, tuple[Callable[[Any], Any], Inputs]] = {
    "LSTM": (functional("x", (5, 3), lambda layers, x: layers.LSTM(4)(x)), {"x": floats(2, 5, 3)}),
    "bidirectional GRU": (
        functional("x", (5, 3), lambda layers, x: layers.Bidirectional(layers.GRU(4))(x)),
        {"x": floats(2, 5, 3)},
    ),
    "depthwise convolution": (
        functional("x", (6, 6, 3), lambda layers, x: layers.DepthwiseConv2D(3)(x)),
        {"x": floats(2, 6, 6, 3)},
    ),
    "mixed_float16": (mixed, {"x": floats(2, 3)}),
    "one batch size": (batches_of_four, {"x": floats(2, 3)}),
    "words from a list": (lookup(vocabulary=["a", "b"]), {"word": WORDS}),
    "words by adapt": (adapted, {"word": WORDS}),
    "one hot of numbers": (
        functional(
            "n",
            (1,),
            lambda layers, x: layers.IntegerLookup(vocabulary=[5, 7], output_mode="one_hot")(x),
            dtype="int64",
        ),
        {"n": np.array([[7], [1]])},
    ),
    "sparse": (
        functional("x", (6,), lambda layers, x: layers.Dense(2)(x), sparse=True),
        {"x_indices": np.array([[0, 1], [1, 5]]), "x_values": floats(2), "x_shape": np.array([2, 6])},
    ),
    "ragged": (
        functional(
            "x",
            (None,),
            lambda layers, x: layers.GlobalAveragePooling1D()(layers.Embedding(9, 2)(x)),
            dtype="int64",
            ragged=True,
        ),
        {"x_values": np.array([1, 2, 3]), "x_row_splits": np.array([0, 2, 3])},
    ),
    # Keras 3 writes such files with each backend. The files do not name the backend.
    "keras.ops": (operations_behind_a_mask, {"tokens": np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 0]], np.int32)}),
    "augmentation": (
        functional("x", (8, 8, 3), lambda layers, x: layers.Flatten()(layers.RandomFlip()(layers.Rescaling(0.1)(x)))),
        {"x": floats(2, 8, 8, 3)},
    ),
}


FILES = [
    (name, library, suffix)
    for name in MODELS
    for library, suffix in (("keras", ".keras"), ("tf_keras", ".keras"), ("tf_keras", ".h5"))
    if (name, suffix) != ("words by adapt", ".h5")  # Keras cannot write this file.
    and (library, name) != ("tf_keras", "keras.ops")
]


@pytest.mark.parametrize(("name", "library", "suffix"), FILES)
def test_files_of_keras_2_and_keras_3_are_exported(tmp_path: Path, name: str, library: str, suffix: str) -> None:
    build, inputs = MODELS[name]
    keras = keras_models.library(library)
    model = build(keras)
    path = save(model, tmp_path / f"model{suffix}")
    assert inspect_keras_file(path).generation == (3 if library == "keras" else 2)
    # The expected outputs come from the model that was saved, not from the loaded model.
    with keras_source.open_model(model) as source:
        truth = source.reference(inputs)
    for key, value in outputs_of(path, inputs).items():
        np.testing.assert_allclose(value, truth[key], rtol=1e-5, atol=1e-6)


def test_keras_2_operations_on_tensors_are_exported(tmp_path: Path) -> None:
    keras = keras_models.library("tf_keras")
    given = keras.Input((3,), name="x")
    path = save(keras.Model(given, tf.nn.relu(given) * 2.0), tmp_path / "ops.h5")
    assert "TFOpLambda" in str(inspect_keras_file(path).config)
    found = outputs_of(path, {"x": np.array([[-1, 0, 2]], np.float32)})
    assert next(iter(found.values())).tolist() == [[0, 0, 4]]


@pytest.mark.parametrize("layers_as_list", [True, False])
def test_an_old_sequential_model_without_input_layer_keeps_its_rank(tmp_path: Path, layers_as_list: bool) -> None:
    keras = keras_models.library("tf_keras")
    model = keras.Sequential([keras.layers.Dense(4, input_shape=(8,)), keras.layers.Dense(6)])
    path = save(model, tmp_path / "old.h5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layers = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]
        layers[0]["config"]["batch_input_shape"] = [None, 8]
        config["config"] = layers if layers_as_list else {"name": "sequential_1", "layers": layers}
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.1.6"
    rows = floats(2, 8)
    found = next(iter(outputs_of(path, _only_input(path, rows)).values()))
    assert found.shape == (2, 6)
    np.testing.assert_allclose(found, model(rows), rtol=1e-5)


def _only_input(path: Path, rows: np.ndarray) -> Inputs:
    with keras_source.open_file(inspect_keras_file(path)) as source:
        (name,) = source.inputs
        return {name: rows}


@pytest.mark.parametrize("kind", ["dense", "two_in_two_out", "recurrent"])
def test_saved_model_folders_of_keras_2_are_exported(tmp_path: Path, kind: str) -> None:
    keras = keras_models.library("tf_keras")
    model = keras_models.KINDS[kind].build(keras)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "folder", save_format="tf")
    exported = export_keras(tmp_path / "folder", tmp_path / "m", extras=Extras(verify=False))
    signature = exported.signatures[0]
    assert set(signature.inputs) == set(keras_models.KINDS[kind].inputs)
    assert set(signature.outputs) == set(keras_models.KINDS[kind].outputs)
    inputs = keras_models.inputs_for(signature)
    truth = keras_models.KINDS[kind].outputs_of(model, inputs)
    for name, value in outputs_of(tmp_path / "folder", inputs).items():
        np.testing.assert_allclose(value, truth[name], rtol=1e-5, atol=1e-6)


def test_a_saved_model_folder_keeps_its_tables(tmp_path: Path) -> None:
    keras = keras_models.library("tf_keras")
    model = lookup(vocabulary=["a", "b"])(keras)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "folder", save_format="tf")
    found = outputs_of(tmp_path / "folder", {"word": WORDS})
    np.testing.assert_allclose(next(iter(found.values())), model(tf.constant(WORDS.astype(str))), rtol=1e-5)


@pytest.mark.parametrize(("library", "weights"), [("keras", "w.weights.h5"), ("tf_keras", "w.h5")])
def test_a_model_is_built_from_architecture_and_weights_files(tmp_path: Path, library: str, weights: str) -> None:
    keras = keras_models.library(library)
    model = keras_models.dense(keras)
    (tmp_path / "model.json").write_text(model.to_json())
    model.save_weights(tmp_path / weights)
    options = KerasOptions(architecture=tmp_path / "model.json")
    assert inspect_keras_file(tmp_path / weights, options).generation == (3 if library == "keras" else 2)
    rows = floats(2, 8)
    np.testing.assert_allclose(
        outputs_of(tmp_path / weights, {"pixels": rows}, options)["scores"], model(rows), rtol=1e-5
    )


def test_a_file_written_with_another_backend_is_exported(tmp_path: Path) -> None:
    path = keras_models.save("dense", "keras", tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["backend"] = "jax"
    assert outputs_of(path, {"pixels": floats(2, 8)})["scores"].shape == (2, 4)


def pairs_only() -> Any:
    model = custom_layers.PairsOnly()
    model(floats(2, 3))
    return model


def stateful() -> Any:
    keras = keras_models.library("keras")
    steps = keras.Input(batch_shape=(2, 3), name="x")
    return keras.Model(steps, keras.layers.LSTM(3, stateful=True)(keras.layers.Reshape((3, 1))(steps)))


@pytest.mark.parametrize("make", [pairs_only, stateful])
def test_a_model_with_a_fixed_batch_size_keeps_it(make: Callable[[], Any]) -> None:
    model = make()
    with keras_source.open_model(model) as source:
        assert "one batch size only" in source.notes[0]
        built = build_signatures(source, ExportSpec())[0]
    assert built.signature.inputs["x"].shape == (2, 3)


def test_an_output_of_a_table_keeps_its_shape() -> None:
    with keras_source.open_model(lookup(vocabulary=["a"])(keras_models.library("keras"))) as source:
        (answer,) = build_signatures(source, ExportSpec())[0].signature.outputs.values()
    assert answer.shape == (None, 1, 2)


@pytest.mark.parametrize("kind", ["dense", "mutable"])
def test_tables_of_vectors_are_copied(tmp_path: Path, kind: str) -> None:
    model = custom_layers.VectorTable(kind)
    model(np.ones((2, 1), np.float32))
    exported = export_keras(model, tmp_path / "m", extras=Extras(verify=False))
    for run in (run_in_session, run_loaded):
        found = run(exported.path, {"x": np.array([[7], [3], [1]], np.float32)})
        assert found["output"].tolist() == [[[3, 4]], [[0, 0.5]], [[1, 2]]]


@pytest.mark.parametrize(
    ("make", "message"),
    [(custom_layers.Stream, "uses a resource"), (custom_layers.Never, "on its inputs: .*not today")],
)
def test_the_error_says_why_a_model_cannot_be_exported(make: Callable[[], Any], message: str) -> None:
    model = make()
    model(np.ones((2, 1), np.float32))
    with pytest.raises(SourceError, match=message):
        keras_source.open_model(model)


def test_the_error_for_a_keras_2_file_without_tf_keras_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keras_models.save("dense", "tf_keras", tmp_path / "m.h5")
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(SourceError, match=r"pip install 'tfx-export\[keras2\]'"):
        keras_source.open_file(inspect_keras_file(path))


def test_the_error_names_a_missing_vocabulary_file(tmp_path: Path) -> None:
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("a\nb\n")
    path = save(lookup(vocabulary=str(vocabulary))(keras_models.library("tf_keras")), tmp_path / "m.h5")
    vocabulary.unlink()
    with pytest.raises(SourceError, match=r"words\.txt does not exist"):
        keras_source.open_file(inspect_keras_file(path))


def test_the_error_for_a_file_of_a_newer_keras_names_the_version(tmp_path: Path) -> None:
    file = keras_models.save("dense", "keras", tmp_path / "model.keras")
    newer = tmp_path / "newer.keras"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(newer, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "metadata.json":
                content = json.dumps({**json.loads(content), "keras_version": "99.1.0"}).encode()
            if name == "config.json":
                content = content.replace(b'"units": 16', b'"units": 16, "of_the_future": 1')
            target.writestr(name, content)
    with pytest.raises(SourceError) as raised:
        export_keras(newer, tmp_path / "served")
    assert "written by Keras 99.1.0" in raised.value.hint
    assert len(raised.value.message) < 1000
