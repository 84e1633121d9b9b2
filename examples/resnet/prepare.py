"""Saves a ResNet50 of keras.applications and the photographs that come with scikit-learn.

    python prepare.py FOLDER [WEIGHTS]

WEIGHTS is a file of weights, or `random`: the predicted classes are then meaningless.
"""

import sys
from pathlib import Path

from tfx_export.tensorflow_import import import_tensorflow

import_tensorflow()  # hides the messages that TensorFlow prints at import

import keras
from PIL import Image
from sklearn.datasets import load_sample_images


def prepare(folder: Path, weights: str) -> None:
    keras.utils.set_random_seed(9)
    model = keras.applications.ResNet50(weights=None)
    if weights == "random":
        print("random weights: the predicted classes are meaningless (pass a file of weights for real ones)")
    else:
        model.load_weights(weights)
    model.save(folder / "resnet50.keras")
    for number, photograph in enumerate(load_sample_images().images):
        Image.fromarray(photograph).save(folder / f"photograph{number}.jpg")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else "random")
