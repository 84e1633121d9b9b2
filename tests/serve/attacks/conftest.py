"""The server that is attacked. Its limits are small, so that tests reach them quickly."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.server import RunningServer, running

MEGABYTE = 1 << 20
MAX_BODY = 8 * MEGABYTE
MAX_ELEMENTS = MEGABYTE
MAX_DEPTH = 64
MAX_IDLE_SECONDS = 2
# The memory that attacks may leave in use, including allocators and caches.
SLACK = 200 * MEGABYTE


class AttackedServer:
    """A server of all test models, with a check that it is healthy after an attack."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.pid = server.process.pid
        self.assert_healthy()
        self._resident = self.resident()

    def resident(self) -> int:
        """Returns the memory of the server and its child processes in bytes."""
        process = psutil.Process(self.pid)
        return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))

    def assert_healthy(self) -> None:
        """Asserts that it is the same process, predicts correctly, and uses about as much memory as at the start."""
        assert self.server.process.poll() is None, self.server.log.read_text()[-5000:]
        with self.server.client as client:
            answer = client.predict("half_plus_two", {"x": np.array([[2.0]], np.float32)})
        assert answer["y"].tolist() == [[3.0]]
        if hasattr(self, "_resident"):
            grown = self.resident() - self._resident
            assert grown < SLACK, f"{grown >> 20} MB more than at the start"


@pytest.fixture(scope="package")
def attacked_server_process(
    front: str, served_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AttackedServer]:
    flags = (
        f"--model_base_path={served_models}",
        f"--front={front}",
        f"--max_body_bytes={MAX_BODY}",
        f"--max_decompressed_bytes={2 * MAX_BODY}",
        f"--max_tensor_elements={MAX_ELEMENTS}",
        f"--max_json_depth={MAX_DEPTH}",
        f"--max_idle_seconds={MAX_IDLE_SECONDS}",
        "--max_request_seconds=20",
    )
    with running(tmp_path_factory.mktemp("attacked_server"), *flags) as server:
        yield AttackedServer(server)


@pytest.fixture
def attacked_server(attacked_server_process: AttackedServer) -> Iterator[AttackedServer]:
    """The server to attack. It must be healthy after the test."""
    yield attacked_server_process
    attacked_server_process.assert_healthy()
