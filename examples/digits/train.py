"""Trains a small Keras classifier on scikit-learn's handwritten digits and saves it as .h5 and .keras.

    python train.py FOLDER

Writes FOLDER/digits.h5, FOLDER/digits.keras and FOLDER/held_out.npz: 300 digits that were not used for training
(`image` float32 [300, 8, 8] with values 0-16, `label` int64 [300]).
"""

import sys
from pathlib import Path

from tfx_export.tensorflow_import import import_tensorflow

import_tensorflow()  # hides the messages that TensorFlow prints at import

import keras
import numpy as np
from sklearn.datasets import load_digits

HELD_OUT = 300


def train(folder: Path) -> None:
    keras.utils.set_random_seed(1)
    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.images))
    images, labels = digits.images[order].astype(np.float32), digits.target[order]

    model = keras.Sequential(
        [
            keras.Input((8, 8), name="image"),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax", name="scores"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[HELD_OUT:], labels[HELD_OUT:], epochs=30, batch_size=32, verbose=0)

    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "digits.keras")
    model.save(folder / "digits.h5")
    np.savez(folder / "held_out.npz", image=images[:HELD_OUT], label=labels[:HELD_OUT])
    print(f"trained on {len(images) - HELD_OUT} digits: {folder}/digits.h5, {folder}/digits.keras")


if __name__ == "__main__":
    train(Path(sys.argv[1]))
