"""Keras models with random weights, as files, and the outputs that Keras computes."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfx_export.tensorflow_import import import_tensorflow


def dense(keras: Any) -> Any:
    return keras.Sequential(
        [
            keras.layers.InputLayer(input_shape=(8,), name="pixels")
            if keras.__name__ == "tf_keras"
            else keras.layers.InputLayer(shape=(8,), name="pixels"),
            keras.layers.Dense(16, activation="relu", name="hidden"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4, activation="softmax", name="scores"),
        ]
    )


def two_in_two_out(keras: Any) -> Any:
    image = keras.Input((5, 4), name="image")
    age = keras.Input((1,), name="age")
    flat = keras.layers.Flatten()(image)
    both = keras.layers.Concatenate()([flat, age])
    kind = keras.layers.Dense(3, name="kind")(both)
    price = keras.layers.Dense(1, name="price")(both)
    return keras.Model([image, age], [kind, price])


def dict_in_dict_out(keras: Any) -> Any:
    image = keras.Input((5,), name="image")
    age = keras.Input((1,), name="age")
    both = keras.layers.Concatenate()([image, age])
    outputs = {"kind": keras.layers.Dense(3)(both), "price": keras.layers.Dense(1)(image)}
    return keras.Model({"image": image, "age": age}, outputs)


def convolution(keras: Any) -> Any:
    image = keras.Input((None, None, 3), name="image")
    maps = keras.layers.Conv2D(4, 3, activation="relu")(image)
    maps = keras.layers.BatchNormalization()(maps)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    return keras.Model(image, keras.layers.Dense(2, name="scores")(pooled))


def recurrent(keras: Any) -> Any:
    words = keras.Input((7, 3), name="words")
    return keras.Model(words, keras.layers.LSTM(5, name="state")(words))


@dataclass(frozen=True)
class Kind:
    """A function that builds a model, and the names that its export should have. Inputs are in the model's order."""

    build: Callable[[Any], Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    by_key: bool = False

    def outputs_of(self, model: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs that Keras computes, by the names above."""
        fed: Any = inputs if self.by_key else [inputs[name] for name in self.inputs]
        answer = model(fed[0] if isinstance(fed, list) and len(fed) == 1 else fed, training=False)
        if self.by_key:
            return {name: answer[name].numpy() for name in self.outputs}
        values = answer if isinstance(answer, list) else [answer]
        return {name: value.numpy() for name, value in zip(self.outputs, values, strict=True)}


KINDS = {
    "dense": Kind(dense, ("pixels",), ("scores",)),
    "two_in_two_out": Kind(two_in_two_out, ("image", "age"), ("kind", "price")),
    "dict_in_dict_out": Kind(dict_in_dict_out, ("image", "age"), ("kind", "price"), by_key=True),
    "convolution": Kind(convolution, ("image",), ("scores",)),
    "recurrent": Kind(recurrent, ("words",), ("state",)),
}


def library(name: str) -> Any:
    """Returns the module `keras` or `tf_keras`, imported without log messages."""
    import_tensorflow()
    import logging

    logging.getLogger("absl").setLevel(logging.ERROR)
    if name == "keras":
        import keras

        return keras
    import tf_keras

    return tf_keras


def save(kind: str, keras_name: str, path: Path) -> Path:
    """Builds the model `kind` with `keras` or `tf_keras` and saves it as `path`."""
    keras = library(keras_name)
    keras.utils.set_random_seed(7)
    model = KINDS[kind].build(keras)
    randomize(model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are saving your model as an HDF5 file")
        model.save(path)
    return path


def randomize(model: Any) -> None:
    """Sets every weight to a random value, so that outputs differ if an export loses one."""
    rng = np.random.default_rng(11)
    model.set_weights([rng.uniform(0.1, 0.9, weight.shape).astype(weight.dtype) for weight in model.get_weights()])


def inputs_for(signature: Any, rows: int = 3) -> dict[str, np.ndarray]:
    """Returns random inputs by name for a signature of floats; unknown dimensions get the size 6."""
    rng = np.random.default_rng(5)
    return {
        name: rng.normal(size=[rows, *(size or 6 for size in spec.shape[1:])]).astype(np.float32)
        for name, spec in signature.inputs.items()
    }
