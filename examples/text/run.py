"""Trains a text classifier, exports it with labels, serves it and sends sentences. Needs no arguments."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough


def run_example(walk: Walkthrough) -> None:
    walk.run("python", "../train.py", ".")
    export = ("tfx-export", "keras", "mood.keras", "--out", "models/mood", "--labels", "moods.txt", "--top-k", "2")
    walk.run(*export)
    with walk.serving("models/mood") as server:
        server.wait_for({"1": "AVAILABLE"})
        sentence = '{"instances": [{"text": ["a lovely film"]}]}'
        walk.shell(f"curl -d '{sentence}' http://127.0.0.1:{server.rest}/v1/models/mood:predict")
        walk.run("python", "../client.py", str(server.grpc), str(server.rest))


if __name__ == "__main__":
    Walkthrough(HERE).main(run_example)
