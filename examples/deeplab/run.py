"""Trains a TF1 segmentation network, exports two versions as text, serves them and draws a mask.

python run.py [--steps 200]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough

INPUTS_AND_OUTPUTS = [
    *("--input", "images=images:0", "--input", "height=height:0", "--input", "width=width:0"),
    *("--output", "segmentation_map=segmentation_map:0"),
]


def run_example(walk: Walkthrough, steps: int) -> None:
    walk.run("python", "../train.py", ".", str(steps))
    for version in ("1", "2"):
        export = ("tfx-export", "session", "checkpoint/model.ckpt.meta", "--out", "models/deeplab")
        walk.run(*export, "--version", version, *INPUTS_AND_OUTPUTS, "--as-text")
    walk.run("tfx-export", "show", "--dir", "models/deeplab")
    with walk.serving("models/deeplab") as server:
        server.wait_for({"2": "AVAILABLE"})
        walk.run("python", "../client.py", f"127.0.0.1:{server.grpc}", "scene.npy", "mask.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="number of training steps")
    given = parser.parse_args()
    Walkthrough(HERE).main(lambda walk: run_example(walk, given.steps))
