"""Files of Keras 1 are exported: their configuration is translated, and their weights are reordered."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.export.keras_outputs import floats, outputs_of
from tests.support import keras_models
from tfx_export.errors import SourceError
from tfx_export.exporting.sources.keras_file import inspect_keras_file
from tfx_export.exporting.sources.keras_options import KerasOptions

TRAINING: dict[str, Any] = {"init": "glorot_uniform", "W_regularizer": None, "b_constraint": None, "trainable": True}
RECURRENT: dict[str, Any] = {
    **TRAINING, "inner_init": "orthogonal", "inner_activation": "hard_sigmoid", "activation": "tanh",
    "U_regularizer": None, "consume_less": "cpu", "dropout_W": 0.0, "dropout_U": 0.0, "return_sequences": False,
    "go_backwards": False, "stateful": False, "unroll": False,
}  # fmt: skip


def layer(class_name: str, name: str, /, inputs: list[str] | None = None, **options: Any) -> dict[str, Any]:
    """Returns a layer as Keras 1 wrote it; with `inputs` as a layer of a functional model."""
    found: dict[str, Any] = {"class_name": class_name, "config": {"name": name, **options}}
    if inputs is not None:
        found |= {"name": name, "inbound_nodes": [[[one, 0, 0] for one in inputs]] if inputs else []}
    return found


def write(
    path: Path, config: object, weights: dict[str, list[np.ndarray]], version: str = "1.2.2", kind: str = "Sequential"
) -> Path:
    """Writes an HDF5 file as Keras 1 did."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": kind, "config": config}).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for one in (file, group):
            if version:
                one.attrs["keras_version"] = version.encode()
        for name, arrays in weights.items():
            names = [f"{name}_{place}" for place in range(len(arrays))]
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [one.encode() for one in names]
            for one, array in zip(names, arrays, strict=True):
                inner[one] = array
    return path


def convolution() -> list[dict[str, Any]]:
    tf_order: dict[str, Any] = {"dim_ordering": "tf"}
    return [
        layer(
            "Convolution2D", "convolution2d_1", nb_filter=4, nb_row=3, nb_col=2, subsample=[1, 1], border_mode="same",
            activation="relu", bias=True, batch_input_shape=[None, 6, 6, 3], input_dtype="float32",
            **tf_order, **TRAINING,
        ),
        layer("BatchNormalization", "batchnormalization_1", mode=0, axis=-1, epsilon=1e-3, beta_init="zero"),
        layer("MaxPooling2D", "maxpooling2d_1", pool_size=[2, 2], strides=[2, 2], border_mode="valid", **tf_order),
        layer("Dropout", "dropout_1", p=0.5),
        layer("Flatten", "flatten_1"),
        layer("Dense", "dense_1", output_dim=2, input_dim=None, activation="softmax", bias=True, **TRAINING),
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["1.2.2", ""])
def test_a_sequential_model_is_translated(tmp_path: Path, version: str) -> None:
    keras = keras_models.library("tf_keras")
    model = keras.Sequential(
        [
            keras.layers.Conv2D(4, (3, 2), padding="same", activation="relu", input_shape=(6, 6, 3)),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    keras_models.randomize(model)
    names = ["convolution2d_1", "batchnormalization_1", "dense_1"]
    weights = {name: one.get_weights() for name, one in zip(names, [*model.layers[:2], model.layers[-1]], strict=True)}
    path = write(tmp_path / "m.h5", convolution(), weights, version)
    images = floats(2, 6, 6, 3)
    found = outputs_of(path, {"convolution2d_1_input": images})
    np.testing.assert_allclose(found["dense_1"], model(images), rtol=1e-5)


def gates(arrays: list[np.ndarray], order: str, written: str) -> list[np.ndarray]:
    """Splits the weights of a Keras 2 cell, with gates in `order`, into those of Keras 1, in the order `written`."""
    split = [np.split(array, len(order), axis=-1) for array in arrays]
    return [parts[order.index(gate)] for gate in written for parts in split]


def test_a_functional_model_with_recurrent_layers_is_translated(tmp_path: Path) -> None:
    keras = keras_models.library("tf_keras")
    words = keras.Input((5,), name="words", dtype="int32")
    vectors = keras.layers.Embedding(9, 4)(words)
    lstm = keras.layers.LSTM(3, recurrent_activation="hard_sigmoid")(vectors)
    gru = keras.layers.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False)(vectors)
    model = keras.Model(words, keras.layers.Concatenate()([lstm, gru]))
    keras_models.randomize(model)
    embedding, long, gated = (one.get_weights() for one in model.layers[1:4])
    config = {
        "name": "model_1",
        "layers": [
            layer("InputLayer", "words", [], batch_input_shape=[None, 5], input_dtype="int32", sparse=False),
            layer("Embedding", "embedding_1", ["words"], input_dim=9, output_dim=4, input_length=5, dropout=0.0),
            layer("LSTM", "lstm_1", ["embedding_1"], output_dim=3, input_dim=4, forget_bias_init="one", **RECURRENT),
            layer("GRU", "gru_1", ["embedding_1"], output_dim=3, input_dim=4, **RECURRENT),
            layer("Merge", "both", ["lstm_1", "gru_1"], mode="concat", concat_axis=-1, mode_type="raw", dot_axes=-1),
        ],
        "input_layers": [["words", 0, 0]],
        "output_layers": [["both", 0, 0]],
    }  # fmt: skip
    weights = {
        "embedding_1": embedding,
        "lstm_1": gates(long, "ifco", "icfo"),
        "gru_1": gates(gated, "zrh", "zrh"),
    }
    path = write(tmp_path / "m.h5", config, weights, kind="Model")
    given = np.array([[1, 2, 3, 4, 5], [8, 7, 6, 5, 4]], np.int32)
    np.testing.assert_allclose(outputs_of(path, {"words": given})["both"], model(given), rtol=1e-5)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (
            layer("MaxoutDense", "maxout_1", output_dim=2),
            "its MaxoutDense 'maxout_1' cannot be translated: Keras 2 has no",
        ),
        (layer("MaxPooling2D", "pool", dim_ordering="th"), "in the order of Theano"),
        (layer("BatchNormalization", "norm", mode=1), "its mode 1 is unknown"),
        (layer("Merge", "merged", mode="dot"), "its mode 'dot' has no layer in Keras 2"),
        (layer("Dense", "dense", rows=2), "its option rows=2 is unknown"),
        ({"class_name": "Dense", "config": None}, "is damaged"),
    ],
)
def test_a_layer_without_a_translation_is_named(tmp_path: Path, one: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        inspect_keras_file(write(tmp_path / "m.h5", [one], {}))


def test_the_layer_can_be_replaced_instead(tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", [layer("Dense", "dense_1", output_dim=2), layer("MaxoutDense", "maxout_1")], {})
    options = KerasOptions(replace_layers={"maxout_1": "module:Class"})
    assert inspect_keras_file(path, options).changed
