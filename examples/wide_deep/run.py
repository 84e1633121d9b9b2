"""Wide and deep: numbers, words and buckets as tf.Examples, one model, two questions. Needs no arguments."""

import sys
from pathlib import Path
from shutil import copy

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough


def story(walk: Walkthrough) -> None:
    walk.run("python", "train.py", ".")
    copy(HERE / "signatures.yaml", walk.work)  # beside the labels it names
    words = ("tfx-export", "keras", "customers.keras", "--out", "models/customers", "--signatures", "signatures.yaml")
    walk.run(*words)
    with walk.serving("models/customers") as server:
        server.wait_for({"1": "AVAILABLE"})
        walk.run("python", "client.py", str(server.grpc), str(server.rest))


if __name__ == "__main__":
    Walkthrough(HERE).main(story)
