"""Trains a CNN for 32 characters, exports it with labels, serves it and sends images over both protocols.

python run.py [--data FOLDER] [--epochs 6]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough


def run_example(walk: Walkthrough, data: Path | None, epochs: int) -> None:
    walk.run("python", "../train.py", ".", f"--epochs={epochs}", *([f"--data={data.resolve()}"] if data else []))
    export = ("tfx-export", "keras", "simpsons.h5", "--out", "models/simpsons", "--labels", "characters.txt")
    walk.run(*export, "--top-k", "3")
    with walk.serving("models/simpsons") as server:
        server.wait_for({"1": "AVAILABLE"})
        walk.run("python", "../client.py", str(server.grpc), str(server.rest), ".")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with a subfolder of images for each character")
    parser.add_argument("--epochs", type=int, default=6)
    given = parser.parse_args()
    Walkthrough(HERE).main(lambda walk: run_example(walk, given.data, given.epochs))
