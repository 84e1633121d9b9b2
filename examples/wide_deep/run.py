"""Trains a wide and deep model, exports it with Classify and Regress signatures and serves it. Needs no arguments."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough


def run_example(walk: Walkthrough) -> None:
    walk.run("python", "../train.py", ".")
    walk.shell("cp ../signatures.yaml .")  # next to the labels file, because its paths are relative
    export = ("tfx-export", "keras", "customers.keras", "--out", "models/customers", "--signatures", "signatures.yaml")
    walk.run(*export)
    with walk.serving("models/customers") as server:
        server.wait_for({"1": "AVAILABLE"})
        customer = '{"examples": [{"age": 41.0, "income": 60.0, "job": "engineer"}]}'
        walk.shell(f"curl -d '{customer}' http://127.0.0.1:{server.rest}/v1/models/customers:classify")
        walk.run("python", "../client.py", str(server.grpc), str(server.rest))


if __name__ == "__main__":
    Walkthrough(HERE).main(run_example)
