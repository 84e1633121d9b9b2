"""The default host is the loopback: 127.0.0.1, and ::1 where there is IPv6, with the same ports."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.fronts import needs_ipv6
from tests.support.rest import send_request
from tests.support.server import PATIENCE, RunningServer, starting
from tfx_export.client import Client

RESERVE = "from serve.fronts.ports import Ports; print(Ports().reserve('gRPC', 'localhost', {port}, '--port'))"


@needs_ipv6
def test_both_protocols_are_answered_on_both_addresses(server: RunningServer) -> None:
    for ip in ("127.0.0.1", "::1"):
        netloc = f"[{ip}]" if ":" in ip else ip
        grpc_port, rest_port = (address.rpartition(":")[2] for address in (server.grpc, server.rest))
        with Client(f"{netloc}:{grpc_port}") as client:
            assert client.predict("plus", {"x": np.ones(1, np.float32)})["y"].tolist() == [5.0]
        assert send_request(f"http://{netloc}:{rest_port}", "GET", "/readyz").status == 200
    assert server.grpc.startswith("127.0.0.1:")
    assert server.rest.startswith("http://127.0.0.1:")


@needs_ipv6
@pytest.mark.parametrize(("flag", "protocol"), [("--port", "gRPC"), ("--rest_api_port", "REST")])
def test_a_port_that_is_taken_on_ipv6_only_fails_the_start(
    tmp_path: Path, front: str, flag: str, protocol: str
) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with starting(tmp_path, f"--front={front}", str(tmp_path / "never"), f"{flag}={port}") as (process, _, log):
            assert process.wait(PATIENCE) == 1
            assert f"Cannot listen for {protocol} on [::1]:{port}: Address already in use" in log.read_text()


@needs_ipv6
def test_a_free_port_is_free_on_both_addresses() -> None:
    """The system has two free ports, and one of them is in use on ::1."""
    taken = "import socket; taken = socket.create_server(('::1', 40000), family=socket.AF_INET6); "
    setup = "echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range"
    assert in_network_namespace(setup, taken + RESERVE.format(port=-1)) == "(('127.0.0.1', 40001), ('::1', 40001))"


def test_a_machine_without_ipv6_has_the_other_address() -> None:
    setup = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
    assert in_network_namespace(setup, RESERVE.format(port=8500)) == "(('127.0.0.1', 8500),)"


def in_network_namespace(setup: str, program: str) -> str:
    """Runs a Python program in a network namespace after shell commands that set it up. Returns its output."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("unshare or ip is not installed")
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]
    setup = f"ip link set lo up && {setup}"
    if subprocess.run([*command, setup], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces cannot be made here")
    run = [*command, f'{setup} && exec "$0" -c "$1"', sys.executable, program]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
