"""Trains a small CNN for 32 characters on 64x64 images and saves it as .h5.

    python train.py FOLDER [--data DATA] [--epochs 6]

DATA has a subfolder of images for each character. Without it faces are generated. Writes FOLDER/simpsons.h5,
FOLDER/characters.txt and FOLDER/test.npz (images float32 [n, 64, 64, 3] between 0 and 1, labels).
"""

import argparse
from pathlib import Path

from tfx_export.tensorflow_import import import_tensorflow

import_tensorflow()  # hides the messages that TensorFlow prints at import

import keras
import numpy as np
from keras import layers

SIZE, CHARACTERS, HELD_OUT = 64, 32, 64
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp"}


def generated(number: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns faces [number, 64, 64, 3], labels and names. Each character has its own skin, hair and eye color."""
    rng = np.random.default_rng(8)
    looks = rng.uniform(0, 1, (CHARACTERS, 3, 3))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    labels = rng.integers(CHARACTERS, size=number)
    images = rng.uniform(0, 0.3, (number, SIZE, SIZE, 3))
    for image, label in zip(images, labels, strict=True):
        row, column = rng.integers(28, 38, 2)
        skin, hair, eyes = looks[label]
        image[np.hypot(rows - row, columns - column) < 20] = skin
        image[(np.hypot(rows - row, columns - column) < 20) & (rows < row - 8)] = hair
        for side in (-7, 7):
            image[np.hypot(rows - row + 2, columns - column + side) < 4] = eyes
    noisy = np.clip(images + rng.normal(0, 0.05, images.shape), 0, 1)
    return noisy.astype(np.float32), labels, [f"character_{number:02d}" for number in range(CHARACTERS)]


def from_folder(data: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns the images in the first 32 folders of `data`, in random order, with labels and names."""
    from PIL import Image

    folders = sorted(path for path in data.iterdir() if path.is_dir())[:CHARACTERS]
    found = [
        (file, label)
        for label, folder in enumerate(folders)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in IMAGE_SUFFIXES
    ]
    if len(found) <= HELD_OUT:
        raise SystemExit(f"{data} contains {len(found)} images in subfolders; more than {HELD_OUT} are needed")
    order = np.random.default_rng(8).permutation(len(found))
    images = [Image.open(found[index][0]).convert("RGB").resize((SIZE, SIZE)) for index in order]
    labels = np.array([found[index][1] for index in order])
    return np.stack(images).astype(np.float32) / 255, labels, [folder.name for folder in folders]


def train(folder: Path, data: Path | None, epochs: int) -> None:
    keras.utils.set_random_seed(8)
    images, labels, names = from_folder(data) if data else generated(1600)
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3), name="image")])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, activation="relu", padding="same"))
        model.add(layers.Conv2D(filters, 3, activation="relu", strides=2))
        model.add(layers.MaxPooling2D())
        model.add(layers.Dropout(0.1))
    model.add(layers.Flatten())
    model.add(layers.Dense(128, activation="relu"))
    model.add(layers.Dense(len(names), activation="softmax", name="scores"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:-HELD_OUT], labels[:-HELD_OUT], epochs=epochs, batch_size=32, verbose=0)
    accuracy = model.evaluate(images[-HELD_OUT:], labels[-HELD_OUT:], verbose=0)[1]
    print(f"trained on {len(images) - HELD_OUT} images: accuracy {accuracy:.1%} on {HELD_OUT} test images")
    model.save(folder / "simpsons.h5")
    (folder / "characters.txt").write_text("".join(f"{name}\n" for name in names))
    np.savez(folder / "test.npz", images=images[-HELD_OUT:], labels=labels[-HELD_OUT:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    given = parser.parse_args()
    train(given.folder.resolve(), given.data, given.epochs)
