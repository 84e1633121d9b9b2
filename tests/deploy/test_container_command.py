"""The command line of the container, run as a process with the container's environment."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.command_line import tfx_export
from tests.support.server import PATIENCE, wait_until


def entrypoint(dockerfile: str) -> list[str]:
    found = re.search(r"^ENTRYPOINT (\[.*\])$", dockerfile, re.MULTILINE)
    assert found
    words: list[str] = json.loads(found[1])
    return words


@pytest.mark.slow
def test_the_container_serves_the_model_in_its_environment_and_stops_on_sigterm(
    served_models: Path, tmp_path: Path
) -> None:
    tfx_export("deploy", "docker", served_models / "half_plus_two", "--out", tmp_path)
    ready = tmp_path / "ready.json"
    # The last flag wins: the container's own ports may be taken on the machine that runs this test.
    arguments = ["--port=auto", "--rest_api_port=auto", "--host=127.0.0.1", f"--ready_file={ready}"]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MODEL_BASE_PATH": str(served_models),
        "MODEL_NAME": "half_plus_two",
    }
    command = [*entrypoint((tmp_path / "Dockerfile").read_text()), *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None)
        rest = json.loads(ready.read_text())["addresses"]["rest"]
        body = json.dumps({"instances": [[2.0]]}).encode()
        with urllib.request.urlopen(f"{rest}/v1/models/half_plus_two:predict", body) as response:
            assert json.load(response) == {"predictions": [[3.0]]}
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
