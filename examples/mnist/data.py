"""Loads MNIST from a folder of idx files (gzipped or not) or mnist.npz, or loads scikit-learn's digits instead."""

import gzip
import struct
from pathlib import Path

import numpy as np

# Number of test images that are held out of training if the folder has only the test set.
HELD_OUT = 1000

Split = tuple[np.ndarray, np.ndarray]  # images float32 [n, 784] between 0 and 1, labels int64 [n]


def load(folder: Path | None) -> tuple[Split, Split]:
    """Returns training and test images. `folder` has train-* and t10k-* idx files, only t10k-* files, or mnist.npz."""
    if folder is None:
        return _digits()
    if (folder / "mnist.npz").is_file():
        with np.load(folder / "mnist.npz") as file:
            return _flat(file["x_train"], file["y_train"]), _flat(file["x_test"], file["y_test"])
    if not _find(folder, "t10k-images"):
        raise SystemExit(f"{folder} contains neither idx files (t10k-images-idx3-ubyte) nor mnist.npz")
    test = _flat(_idx(folder, "t10k-images"), _idx(folder, "t10k-labels"))
    if _find(folder, "train-images"):
        return _flat(_idx(folder, "train-images"), _idx(folder, "train-labels")), test
    print(f"{folder} contains only the test set: training on all but the last {HELD_OUT} images")
    return (test[0][:-HELD_OUT], test[1][:-HELD_OUT]), (test[0][-HELD_OUT:], test[1][-HELD_OUT:])


def _digits() -> tuple[Split, Split]:
    from sklearn.datasets import load_digits

    print("no MNIST folder (--data FOLDER): using scikit-learn's 8x8 digits, enlarged to 28x28")
    digits = load_digits()
    enlarged = np.kron(digits.images, np.ones((3, 3)))
    images = np.pad(enlarged, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784).astype(np.float32) / 16
    order = np.random.default_rng(1).permutation(len(images))
    images, labels = images[order], digits.target[order].astype(np.int64)
    return (images[:-HELD_OUT], labels[:-HELD_OUT]), (images[-HELD_OUT:], labels[-HELD_OUT:])


def _flat(images: np.ndarray, labels: np.ndarray) -> Split:
    return images.reshape(len(images), 784).astype(np.float32) / 255, labels.astype(np.int64)


def _find(folder: Path, name: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{name}*"))), None)


def _idx(folder: Path, name: str) -> np.ndarray:
    """Reads the array in an idx file: two zero bytes, the type (8: uint8), the rank, the sizes, the values."""
    path = _find(folder, name)
    if path is None:
        raise SystemExit(f"{folder} contains no {name}-* file")
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read()
    rank = content[3]
    sizes = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(sizes)
