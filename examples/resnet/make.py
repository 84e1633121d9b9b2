"""Save a ResNet50 of keras.applications and the photographs that come with scikit-learn.

    python make.py FOLDER [WEIGHTS]

WEIGHTS is a file of weights, or `random`: the answers are then meaningless, the way is the same.
"""

import sys
from pathlib import Path

from tfx_export.tensorflow_import import import_tensorflow

import_tensorflow()  # without the lines that it writes to stderr

import keras
from PIL import Image
from sklearn.datasets import load_sample_images


def make(folder: Path, weights: str) -> None:
    keras.utils.set_random_seed(9)
    model = keras.applications.ResNet50(weights=None)
    if weights == "random":
        print("random weights: the classes mean nothing (give a file of weights for ones that do)")
    else:
        model.load_weights(weights)
    model.save(folder / "resnet50.keras")
    for number, photograph in enumerate(load_sample_images().images):
        Image.fromarray(photograph).save(folder / f"photograph{number}.jpg")


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else "random")
