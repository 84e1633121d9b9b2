"""In place of serve.engines.preparation.worker: a child that ends as `model_name` in its request says."""

import json
import os
import signal
import sys
import time


def main() -> None:
    request = json.loads(sys.stdin.readline())
    stage, _, end = request["config"]["model_name"].partition(" ")
    always = end.endswith(" always")
    if request["as_it_is"]:
        stage, end = "trying", end if always else "finish"
    tell(stage=stage)
    finish(end.removesuffix(" always"))


def finish(end: str) -> None:
    match end:
        case "abort":
            sys.stderr.write("\nF0000 00:00:1700000000.000000 42 tensor.cc:21] Check failed: 1 == 2 (1 vs. 2)\n")
            sys.stderr.flush()
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            sys.exit("No more coffee")
        case "wait":
            time.sleep(60)
        case "grow":
            hoard = []
            while True:
                hoard.append(b"x" * (4 << 20))
        case "fail":
            tell(failed="failed: ValueError: odd", repeats=True)
            os._exit(1)
        case "finish":
            tell(done=True)
        case "refuse":
            tell(code=5, message="There is no such thing")


def tell(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
