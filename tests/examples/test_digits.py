"""The demo as `make demo` runs it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.readme import assert_shows
from tests.examples.run_example import run_example
from tests.support.server import PATIENCE, wait_until

ANSWERS = r"{}: 300 digits, error rate (\d+\.\d+)%, median latency \d+\.\d+ ms"


@pytest.fixture
def demo(unverified_examples: Path) -> Path:
    return unverified_examples / "digits"


def children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    direct = [int(child) for child in found.split()]
    return direct + [grandchild for child in direct for grandchild in children(child)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_demo_trains_exports_serves_sends_requests_and_stops(demo: Path) -> None:
    done = run_example(demo)
    for protocol in ("gRPC", "REST"):
        found = re.search(ANSWERS.format(protocol), done.stdout)
        assert found, done.stdout
        assert float(found[1]) < 10
    assert "signature_def['serving_default']:" in done.stdout
    assert "version 2: AVAILABLE" in done.stdout
    assert "version 1: END" in done.stdout
    assert "the server exited with 0" in done.stdout
    assert_shows(demo / "README.md", done.stdout)


EXAMPLE = """
import sys, time
from pathlib import Path
from walkthrough import Walkthrough

def example(walk):
    with walk.serving(sys.argv[1]) as server:
        server.wait_for({"4": "AVAILABLE"})
        (walk.work / "started").touch()
        if sys.argv[2] == "failure":
            walk.run("python", "missing.py")
        time.sleep(600)

Walkthrough(Path(__file__).parent).main(example)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["failure", "SIGTERM", "SIGINT"])
def test_no_process_is_left(examples: Path, served_models: Path, how: str) -> None:
    (examples / "run.py").write_text(EXAMPLE)
    # plus starts without TensorFlow.
    command = [sys.executable, str(examples / "run.py"), str(served_models / "plus"), how]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started: set[int] = set()

    def server_runs() -> bool:
        started.update(children(process.pid))
        return (examples / "work" / "started").exists() or process.poll() is not None

    wait_until(server_runs)
    if how != "failure":
        process.send_signal(getattr(signal, how))
    assert process.wait(PATIENCE) != 0
    assert started, "no server was started"
    wait_until(lambda: not any(alive(pid) for pid in started))
