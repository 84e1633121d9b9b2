"""The server that is attacked: small limits, so that a test reaches them quickly."""

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
# What attacks may leave behind, allocators and caches included.
SLACK = 200 * MEGABYTE


class Fortress:
    """A server of all test models, and how to see that it is none the worse for an attack."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.pid = server.process.pid
        self.assert_well()
        self._resident = self.resident()

    def resident(self) -> int:
        """Bytes of memory of the server, its helpers included."""
        process = psutil.Process(self.pid)
        return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))

    def assert_well(self) -> None:
        """It is the same process, answers correctly, and has not grown."""
        assert self.server.process.poll() is None, self.server.log.read_text()[-5000:]
        with self.server.client as client:
            answer = client.predict("half_plus_two", {"x": np.array([[2.0]], np.float32)})
        assert answer["y"].tolist() == [[3.0]]
        if hasattr(self, "_resident"):
            grown = self.resident() - self._resident
            assert grown < SLACK, f"{grown >> 20} MB more than at the start"


@pytest.fixture(scope="package")
def strong_server(front: str, served_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
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
    with running(tmp_path_factory.mktemp("fortress"), *flags) as server:
        yield Fortress(server)


@pytest.fixture
def fortress(strong_server: Fortress) -> Iterator[Fortress]:
    """Attack it; whether it is well afterwards is looked at here."""
    yield strong_server
    strong_server.assert_well()
