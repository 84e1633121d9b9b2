"""A client with gRPC's implementation in Go, which shares no code with that of Python, C++ and Ruby."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.protocols import Target, predict_request
from tests.support.server import RunningServer
from tfx_export import wire
from tfx_export.savedmodel import tensor

# Where Debian's package golang-google-grpc-dev puts its sources.
GOPATH = Path("/usr/share/gocode")


@pytest.fixture(scope="module")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, compiled."""
    if shutil.which("go") is None or not (GOPATH / "src/google.golang.org/grpc").is_dir():
        pytest.skip("Go or its gRPC (golang-google-grpc-dev) is not installed")
    program = tmp_path_factory.mktemp("go") / "grpc_client"
    source = Path(__file__).with_name("grpc_client.go")
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH)}
    subprocess.run(["go", "build", "-o", str(program), str(source)], env=environment, check=True)
    return program


@pytest.mark.slow
def test_go_client(server: RunningServer, go_client: Path) -> None:
    x = np.arange(100_000, dtype=np.float32)
    request = predict_request(Target("plus"), {"x": x}, as_content=True).SerializeToString()
    done = subprocess.run([str(go_client), server.grpc], input=request, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode().splitlines() == [
        "health: SERVING",
        "compressed equal: true",
        "error: InvalidArgument Missing ModelSpec",
        "deadline: DeadlineExceeded",
    ]
    response = wire.PredictResponse.FromString(done.stdout)
    assert (tensor.decode(response.outputs["y"]) == x + 4).all()
