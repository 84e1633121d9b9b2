"""Exports ResNet50 with a signature for encoded images, serves it and sends JPEG files.

python run.py [--weights FILE] [--requests 20]
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough


def run_example(walk: Walkthrough, weights: str, requests: int) -> None:
    walk.run("python", "../prepare.py", ".", weights)
    walk.run("tfx-export", "keras", "resnet50.keras", "--out", "models/resnet", "--signatures", "../signature.yaml")
    with walk.serving("models/resnet") as server:
        server.wait_for({"1": "AVAILABLE"})
        walk.shell(
            """(printf '{"instances": [{"b64": "'; base64 < photograph0.jpg | tr -d '\\n'; printf '"}]}') > body.json"""
        )
        walk.shell(f"curl -d @body.json http://127.0.0.1:{server.rest}/v1/models/resnet:predict > answer.json")
        photographs = sorted(path.name for path in walk.work.glob("*.jpg"))
        walk.run("python", "../client.py", str(server.grpc), str(server.rest), str(requests), *photographs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="random", help="file with weights for ResNet50")
    parser.add_argument("--requests", type=int, default=20)
    given = parser.parse_args()
    weights = given.weights if given.weights == "random" else str(Path(given.weights).resolve())
    Walkthrough(HERE).main(lambda walk: run_example(walk, weights, given.requests))
