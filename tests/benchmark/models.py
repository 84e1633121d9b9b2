"""A program that writes the Keras model NAME to FILE. The weights are random: they do not influence the speed.

python -m tests.benchmark.models NAME FILE
"""

import sys
from collections.abc import Callable
from typing import Any

from tfx_export.tensorflow_import import import_tensorflow


def mlp(keras: Any) -> Any:
    """784-128-10."""
    return _perceptron(keras, 128)


def dense(keras: Any) -> Any:
    """784-4096-4096-10. Reading its 80 MB of weights takes longer than the computation."""
    return _perceptron(keras, 4096, 4096)


def dense_100mb(keras: Any) -> Any:
    """784-4600-4600-10, 99 MB of weights."""
    return _perceptron(keras, 4600, 4600)


def dense_350mb(keras: Any) -> Any:
    """784-9000-9000-10, 353 MB of weights."""
    return _perceptron(keras, 9000, 9000)


def _perceptron(keras: Any, *hidden: int) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((784,)),
            *[layers.Dense(units, activation="relu") for units in hidden],
            layers.Dense(10, activation="softmax"),
        ]
    )


def mobilenet(keras: Any) -> Any:
    """MobileNetV2, 224x224x3."""
    return keras.applications.MobileNetV2(weights=None)


def resnet(keras: Any) -> Any:
    """ResNet50, 224x224x3."""
    return keras.applications.ResNet50(weights=None)


MODELS: dict[str, Callable[[Any], Any]] = {
    each.__name__: each for each in (mlp, dense, dense_100mb, dense_350mb, mobilenet, resnet)
}
IMAGE = (224, 224, 3)
SHAPES: dict[str, tuple[int, ...]] = {name: IMAGE if name in ("mobilenet", "resnet") else (784,) for name in MODELS}
# Exported without a LiteRT model, because they are measured with the TensorFlow engine only.
TENSORFLOW_ONLY = ("dense_100mb", "dense_350mb")


def main(name: str, file: str) -> None:
    import_tensorflow()
    import keras

    keras.utils.set_random_seed(1)
    MODELS[name](keras).save(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
