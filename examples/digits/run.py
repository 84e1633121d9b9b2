"""The whole way, as a user would type it: train, export, show, serve, ask, stop. Needs no arguments.

Version 2 is published while version 1 is being served, so that the last status shows one version gone and one serving.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from walkthrough import Walkthrough


def story(walk: Walkthrough) -> None:
    walk.run("python", "../train.py", ".")
    walk.run("tfx-export", "keras", "digits.h5", "--out", "models/digits", "--version", "1")
    with walk.serving("models/digits") as server:
        server.wait_for({"1": "AVAILABLE"})
        walk.run("tfx-export", "keras", "digits.keras", "--out", "models/digits", "--version", "2")
        walk.run("tfx-export", "show", "--dir", "models/digits/2", "--all")
        server.wait_for({"2": "AVAILABLE", "1": "END"})
        walk.run("python", "../ask.py", ".", str(server.grpc), str(server.rest))
        print()
        for version, state in server.states().items():
            print(f"version {version}: {state}")


if __name__ == "__main__":
    Walkthrough(HERE).main(story)
