"""Trains a digit classifier, exports, shows and serves it, sends requests and stops. Needs no arguments.

Version 2 is published while version 1 is served, so the last status shows version 1 unloaded and version 2 available.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough


def run_example(walk: Walkthrough) -> None:
    walk.run("python", "../train.py", ".")
    walk.run("tfx-export", "keras", "digits.h5", "--out", "models/digits", "--version", "1")
    with walk.serving("models/digits") as server:
        server.wait_for({"1": "AVAILABLE"})
        walk.run("tfx-export", "keras", "digits.keras", "--out", "models/digits", "--version", "2")
        walk.run("tfx-export", "show", "--dir", "models/digits/2", "--all")
        server.wait_for({"2": "AVAILABLE", "1": "END"})
        walk.run("python", "../client.py", ".", str(server.grpc), str(server.rest))
        print()
        for version, state in server.states().items():
            print(f"version {version}: {state}")


if __name__ == "__main__":
    Walkthrough(HERE).main(run_example)
