"""Memory does not grow over many version swaps, and an unloaded model frees its memory.

TFX_EXPORT_SWAP_MB is the size of the swapped model in MB: small by default, 100 for the figure in the documentation.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median_low

import numpy as np
import psutil
import pytest

from tests.support.server import RunningServer, publish, wait_until

MEGABYTES = int(os.environ.get("TFX_EXPORT_SWAP_MB", "4"))
SWAPS = 100
# After this many swaps, all pools have reached their size.
SETTLED = 5
# The memory at a point is the median of this many samples.
SAMPLES = 5


def resident(server: RunningServer) -> int:
    """Returns the resident bytes of the server and the processes it started."""
    process = psutil.Process(server.process.pid)
    return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))


def mapped_weights(server: RunningServer) -> int:
    """The bytes of weights that the server and its child processes map from files."""
    process = psutil.Process(server.process.pid)
    total = 0
    for each in (process, *process.children(recursive=True)):
        for line in Path(f"/proc/{each.pid}/maps").read_text().splitlines():
            if line.endswith(".weights"):
                start, end = line.split()[0].split("-")
                total += int(end, 16) - int(start, 16)
    return total


def weighty(folder: Path, megabytes: int) -> None:
    subprocess.run([sys.executable, "-m", "tests.support.weighty_model", str(folder), str(megabytes)], check=True)


@pytest.mark.slow
def test_an_unloaded_model_frees_its_memory(
    start_server: Callable[..., RunningServer], served_models: Path, tmp_path: Path
) -> None:
    megabyte, models, original = 1 << 20, tmp_path / "models", tmp_path / "original" / "1"
    weighty(original, 100)
    publish(served_models / "half_plus_two" / "1", models / "small")
    server = start_server(str(models), "--watch", "--file_system_poll_wait_seconds=0.05")
    x = {"x": np.array([2.0], np.float32)}
    with server.client as client:
        assert client.predict("small", x)["y"].tolist() == [3.0]
        before = resident(server)
        publish(original, models / "weighty")
        wait_until(lambda: server.states("weighty") == {1: "AVAILABLE"})
        np.testing.assert_allclose(client.predict("weighty", x)["y"], x["x"], rtol=1e-3)
        assert mapped_weights(server) > 90 * megabyte
        shutil.rmtree(models / "weighty")
        wait_until(lambda: server.states("weighty") == {1: "END"})
        wait_until(lambda: mapped_weights(server) == 0)
        # Runtime code that ran for the first time, and its pools, stay in memory. The native front returns memory
        # gradually.
        wait_until(lambda: resident(server) < before + 15 * megabyte)
        assert client.predict("small", x)["y"].tolist() == [3.0]


@pytest.mark.slow
def test_100_swaps_under_light_load_leak_no_memory(start_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    original, model = tmp_path / "original", tmp_path / "weighty"
    weighty(original, MEGABYTES)

    def swap_in(version: int) -> None:
        staged = model / f".{version}"
        shutil.copytree(original, staged, copy_function=os.link)
        staged.rename(model / str(version))

    swap_in(1)
    server = start_server(str(model), "--file_system_poll_wait_seconds=0.05")
    failures: list[Exception] = []
    done = threading.Event()

    def send_requests() -> None:
        x = np.array([2.0], np.float32)
        with server.client as client:
            while not done.wait(0.01):
                try:
                    np.testing.assert_allclose(client.predict("weighty", {"x": x})["y"], x, rtol=1e-3)
                except Exception as error:
                    failures.append(error)

    client = threading.Thread(target=send_requests)
    client.start()
    sizes: list[int] = []
    try:
        for version in range(2, SWAPS + 2):
            swap_in(version)
            wait_until(lambda new=version: server.states("weighty").get(new) == "AVAILABLE")  # type: ignore[misc]
            shutil.rmtree(model / str(version - 1))
            wait_until(lambda old=version - 1: server.states("weighty").get(old, "END") == "END")  # type: ignore[misc]
            sizes.append(resident(server))
    finally:
        done.set()
        client.join()
    # A single sample may fall between a release and a new allocation.
    settled, last = median_low(sizes[SETTLED - 1 :][:SAMPLES]), median_low(sizes[-SAMPLES:])
    summary = f"{MEGABYTES} MB: {settled >> 20} MB after {SETTLED} swaps, {last >> 20} MB after {SWAPS}\n"
    sys.stdout.write(summary)
    assert not failures
    assert last <= 1.1 * settled, [size >> 20 for size in sizes]
