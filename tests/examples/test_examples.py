"""Each example runs with one command, here at a small size, and its commands and output are those of its README."""

import gzip
import importlib.util
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.examples.readme import assert_shows
from tests.examples.run_example import ROOT, run_example

PERCENT = r"(\d+\.\d+)%"

EXAMPLES = [
    ("mnist", ["--images", "200"], [rf"Inference error rate: {PERCENT}\n", rf"error rate of Classify: {PERCENT}\n"]),
    ("deeplab", ["--steps", "30"], [r"8 images: one by one [\d.]+ s, with futures [\d.]+ s", r"mask.png"]),
    ("wide_deep", [], [r"gRPC Classify .*engineer.*: buys", r"REST :classify \[\[\[", r"gRPC Regress   \[-?\d"]),
    ("text", [], [r"lovely.*\n  REST: glad .*\n  gRPC: glad", r"dull.*\n  REST: sad .*\n  gRPC: sad"]),
    ("simpsons", ["--epochs", "1"], [r"REST: (\d+) of 64 correct", r"gRPC: (\d+) of 64 correct"]),
    ("resnet", ["--requests", "3"], [r"REST: classes \[\d+, \d+\], average latency", r"gRPC: classes \[\d+, \d+\]"]),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "arguments", "says"), EXAMPLES, ids=[name for name, _, _ in EXAMPLES])
def test_example_runs(unverified_examples: Path, name: str, arguments: Sequence[str], says: Sequence[str]) -> None:
    done = run_example(unverified_examples / name, *arguments)
    for pattern in says:
        assert re.search(pattern, done.stdout), done.stdout
    assert "the server exited with 0" in done.stdout
    assert_shows(unverified_examples / name / "README.md", done.stdout)


def test_every_example_is_tested_and_described() -> None:
    folder = ROOT / "examples"
    found = {path.parent.name for path in folder.glob("*/run.py")}
    assert found == {name for name, _, _ in EXAMPLES} | {"digits"}
    index = (folder / "README.md").read_text()
    for name in found:
        assert (folder / name / "README.md").is_file()
        assert f"({name})" in index


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


IMAGES = np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28)
LABELS = np.array([7, 0, 9], np.uint8)


def write_idx(folder: Path, suffix: str = "", pack: Callable[[bytes], bytes] = bytes) -> None:
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(IMAGES)))
        (folder / f"{part}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(LABELS)))


def write_npz(folder: Path) -> None:
    np.savez(folder / "mnist.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)


@pytest.mark.parametrize(
    "write", [write_idx, lambda folder: write_idx(folder, ".gz", gzip.compress), write_npz], ids=["idx", "gz", "npz"]
)
def test_mnist_is_read_from_a_folder(examples: Path, tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    for images, labels in mnist_data(examples).load(tmp_path):
        assert (images.shape, images.dtype) == ((3, 784), np.float32)
        np.testing.assert_array_equal(np.rint(images * 255), IMAGES.reshape(3, 784))
        np.testing.assert_array_equal(labels, LABELS)


def test_a_folder_without_mnist_is_an_error_that_says_so(examples: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"contains neither idx files .* nor mnist\.npz"):
        mnist_data(examples).load(tmp_path)


def mnist_data(examples: Path) -> Any:
    """Returns the module examples/mnist/data.py."""
    spec = importlib.util.spec_from_file_location("mnist_data", examples / "mnist" / "data.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
