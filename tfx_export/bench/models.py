"""A program: writes the Keras model NAME to FILE. Their weights are random: what is measured does not depend on them.

python -m tfx_export.bench.models NAME FILE
"""

import sys
from collections.abc import Callable
from typing import Any

from tfx_export.quiet import import_tensorflow


def mlp(keras: Any) -> Any:
    """784-128-10."""
    layers = keras.layers
    return keras.Sequential(
        [layers.Input((784,)), layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")]
    )


def mobilenet(keras: Any) -> Any:
    """MobileNetV2, 224x224x3."""
    return keras.applications.MobileNetV2(weights=None)


def resnet(keras: Any) -> Any:
    """ResNet50, 224x224x3."""
    return keras.applications.ResNet50(weights=None)


MODELS: dict[str, Callable[[Any], Any]] = {"mlp": mlp, "mobilenet": mobilenet, "resnet": resnet}
SHAPES: dict[str, tuple[int, ...]] = {"mlp": (784,), "mobilenet": (224, 224, 3), "resnet": (224, 224, 3)}


def main(name: str, file: str) -> None:
    import_tensorflow()
    import keras

    keras.utils.set_random_seed(1)
    MODELS[name](keras).save(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
