"""A server that swaps versions all day holds no more memory than after the first few.

TFX_EXPORT_SWAP_MB is the size of the model: small by default, 100 for the figure that is promised.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.server import RunningServer, wait_until

MEGABYTES = int(os.environ.get("TFX_EXPORT_SWAP_MB", "4"))
SWAPS = 100
# After so many, every pool has grown to its size.
SETTLED = 5


def resident(server: RunningServer) -> int:
    """Bytes of the server and the processes it started."""
    process = psutil.Process(server.process.pid)
    return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))


@pytest.mark.slow
def test_100_swaps_under_light_load_leave_no_memory_behind(
    start_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    original, model = tmp_path / "original", tmp_path / "weighty"
    subprocess.run([sys.executable, "-m", "tests.support.weighty_model", str(original), str(MEGABYTES)], check=True)

    def publish(version: int) -> None:
        beside = model / f".{version}"
        shutil.copytree(original, beside, copy_function=os.link)
        beside.rename(model / str(version))

    publish(1)
    server = start_server(str(model), "--file_system_poll_wait_seconds=0.05")
    failures: list[Exception] = []
    done = threading.Event()

    def ask() -> None:
        x = np.array([2.0], np.float32)
        with server.client as client:
            while not done.wait(0.01):
                try:
                    np.testing.assert_allclose(client.predict("weighty", {"x": x})["y"], x, rtol=1e-3)
                except Exception as error:
                    failures.append(error)

    client = threading.Thread(target=ask)
    client.start()
    sizes: list[int] = []
    try:
        for version in range(2, SWAPS + 2):
            publish(version)
            wait_until(lambda new=version: server.states("weighty").get(new) == "AVAILABLE")  # type: ignore[misc]
            shutil.rmtree(model / str(version - 1))
            wait_until(lambda old=version - 1: server.states("weighty").get(old, "END") == "END")  # type: ignore[misc]
            sizes.append(resident(server))
    finally:
        done.set()
        client.join()
    told = f"{MEGABYTES} MB: {sizes[SETTLED - 1] >> 20} MB after {SETTLED} swaps, {sizes[-1] >> 20} MB after {SWAPS}\n"
    sys.stdout.write(told)
    assert not failures
    assert sizes[-1] <= 1.1 * sizes[SETTLED - 1], [size >> 20 for size in sizes]
