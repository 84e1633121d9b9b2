"""Trains MNIST in a TF1 session, exports it in Python and on the command line, serves it and sends test images.

python run.py [--data FOLDER] [--images 1000]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough


def run_example(walk: Walkthrough, data: Path | None, images: int) -> None:
    walk.run("python", "../train.py", ".", *([str(data.resolve())] if data else []))
    walk.run(
        *("tfx-export", "session", "checkpoint/model.ckpt", "--out", "models/mnist", "--version", "2"),
        *("--input", "images=x:0", "--output", "scores=y:0", "--signatures", "signatures.yaml"),
    )
    walk.run("tfx-export", "show", "--dir", "models/mnist")
    with walk.serving("models/mnist") as server:
        server.wait_for({"2": "AVAILABLE"})
        walk.run("python", "../client.py", f"127.0.0.1:{server.grpc}", "test.npz", str(images))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with MNIST's idx files or mnist.npz")
    parser.add_argument("--images", type=int, default=1000, help="number of test images to send")
    given = parser.parse_args()
    Walkthrough(HERE).main(lambda walk: run_example(walk, given.data, given.images))
