"""Measurements while the version of a model is replaced by the next one: latency, and memory after many swaps."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from tests.benchmark.model_folder import ModelFolder, publish_version, watched_folder
from tests.benchmark.process_memory import settled_memory
from tests.benchmark.testbed import TENSORFLOW, Testbed
from tfx_export import wire
from tfx_export.bench.comparison import Comparison, in_turn
from tfx_export.client import Client
from tfx_export.savedmodel.tensor import decode

# A window in which requests are measured is at least this many times as long as a swap takes.
WINDOW = 1.2
# Of this many swaps in `memory_swaps`, one brings a content that has never been prepared.
SWAPS_PER_CONTENT = 5
# The pause between two requests in `memory_swaps`.
PAUSE_SECONDS = 0.02
# The first swap after which memory is measured.
EARLY_SWAP = 5
MAX_PREPARED_BYTES = 2 << 30


def swap(testbed: Testbed) -> Iterator[Comparison]:
    """The p99 latency while a version is swapped under load."""
    base = testbed.folder / "swapped"
    rmtree(base, ignore_errors=True)
    base.mkdir()
    source = testbed.version("mlp")
    publish_version(source, base)
    with testbed.server(
        "mlp", TENSORFLOW, f"--model_base_path={base}", "--file_system_poll_wait_seconds=0.2"
    ) as server:
        version = 1

        def swapping() -> float:
            nonlocal version
            version += 1
            thread = threading.Timer(testbed.seconds / 3, publish_version, (source, base, version))
            thread.start()
            p99 = testbed.grpc(server.grpc, "mlp", clients=8).p99_ms
            thread.join()
            return p99

        ours, theirs = in_turn(testbed.rounds, swapping, lambda: testbed.grpc(server.grpc, "mlp", clients=8).p99_ms)
    yield Comparison("p99 while a version is swapped", "p99 without", "ms", ours, theirs, 3.0, at_least=False)


def memory_p99(testbed: Testbed, model: str = "dense_350mb") -> Iterator[Comparison]:
    """The p99 latency of a large model, and of a small one beside it, while the large one is swapped all the time.

    One client sends single rows to the large model, eight to the small one. Each next version is published as soon as
    the last one has ended, with a content that is already prepared, or that a child process prepares meanwhile.
    """
    with _swapped_model(testbed, model) as swaps:
        for title, new_content in (("once prepared", False), ("prepared the first time", True)):
            seconds = max(testbed.seconds, WINDOW * swaps.swap(new_content))

            def p99(name: str, clients: int, seconds: float = seconds) -> float:
                return testbed.grpc(swaps.server.grpc, name, clients=clients, seconds=seconds).p99_ms

            def swapping(name: str, clients: int, new_content: bool = new_content) -> float:
                with swaps.repeated(new_content):
                    return p99(name, clients)

            large, large_alone, small, small_alone = in_turn(
                testbed.rounds,
                lambda: swapping(model, 1),
                lambda: p99(model, 1),
                lambda: swapping("mlp", 8),
                lambda: p99("mlp", 8),
            )
            what = f"while {model} is swapped, {title}"
            yield Comparison(f"p99 {what}", "p99 without", "ms", large, large_alone, 2.0, at_least=False)
            yield Comparison(f"p99 of MLP {what}", "p99 without", "ms", small, small_alone, at_least=False)


def memory_swaps(testbed: Testbed, model: str = "dense_100mb", swaps: int = 100) -> Iterator[Comparison]:
    """The memory of all processes of the server after a hundred swaps, compared with that after the fifth.

    One client sends requests all the time, and each of them must be answered. One swap of five brings a content that a
    child process prepares, the others alternate between two contents that are already prepared. The folder of each
    version is removed once the version has ended.
    """
    memory = []
    with _swapped_model(testbed, model) as swapped, _requests(testbed, swapped.server.grpc, model):
        for number in range(1, swaps + 1):
            swapped.swap(new_content=number % SWAPS_PER_CONTENT == 0)
            if number in (min(EARLY_SWAP, swaps), swaps):
                memory.append(settled_memory(swapped.server.pid).total)
    what, against = f"{model}, memory after {swaps} swaps", f"after {min(EARLY_SWAP, swaps)} swaps"
    yield Comparison(what, against, "MB", (memory[-1],), (memory[0],), 1.1, at_least=False)


@dataclass
class _Swaps:
    """A model on a server, whose version is replaced by the next one again and again."""

    server: ModelFolder
    model: str
    source: Path
    number: int = 1

    def swap(self, new_content: bool) -> float:
        """Publishes the next version, waits until the old one has ended, and removes that. Returns the seconds."""
        started = time.monotonic()
        self.number += 1
        variant = self.number if new_content else self.number % 2
        self.server.publish(self.source, self.model, self.number, variant=variant)
        self.server.wait_for(self.model, self.number - 1, "END")
        self.server.remove(self.model, self.number - 1)
        return time.monotonic() - started

    @contextmanager
    def repeated(self, new_content: bool) -> Iterator[None]:
        """Swaps one version after the other in a thread. Ends with the last swap. Raises LoadError if one fails."""

        def run(ended: threading.Event) -> None:
            while not ended.is_set():
                self.swap(new_content)

        with _in_thread(run):
            yield


@contextmanager
def _swapped_model(testbed: Testbed, model: str) -> Iterator[_Swaps]:
    """Runs a server of `model` and the MLP, with both alternating contents of `model` prepared."""
    prepared = testbed.folder / "prepared_swaps"
    rmtree(prepared, ignore_errors=True)
    source = testbed.version(model)
    models = {"mlp": testbed.version("mlp"), model: source}
    with watched_folder(testbed, models, prepared, f"--max_prepared_bytes={MAX_PREPARED_BYTES}") as server:
        swaps = _Swaps(server, model, source)
        swaps.swap(new_content=False)
        swaps.swap(new_content=False)
        yield swaps
    rmtree(prepared)


@contextmanager
def _requests(testbed: Testbed, address: str, model: str) -> Iterator[None]:
    """Sends one request after the other in a thread. Raises ServerError if one is not answered."""
    request = wire.PredictRequest.FromString(testbed.message_file(model).read_bytes())
    inputs = {name: decode(tensor) for name, tensor in request.inputs.items()}

    def run(ended: threading.Event) -> None:
        with Client(address) as client:
            while not ended.wait(PAUSE_SECONDS):
                client.predict(model, inputs)

    with _in_thread(run):
        yield


@contextmanager
def _in_thread(run: Callable[[threading.Event], None]) -> Iterator[None]:
    """Calls `run` in a thread with an event that is set when the `with` ends. Raises the error of `run`."""
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, ended)
        try:
            yield
        finally:
            ended.set()
    running.result()
