"""The performance targets of this project, each with a function that measures it."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil

from tests.benchmark.latency import latency, memory_answers
from tests.benchmark.memory import memory_loading, memory_table
from tests.benchmark.peer import PATH, running_peer
from tests.benchmark.swapping import memory_p99, memory_swaps, swap
from tests.benchmark.testbed import LITERT, TENSORFLOW, Testbed, run_program
from tfx_export.bench.comparison import Comparison, in_turn
from tfx_export.bench.echo_server import echo_server

RATE = "requests/s"
Measure = Callable[[Testbed], Iterator[Comparison]]


def grpc_rate(testbed: Testbed) -> Iterator[Comparison]:
    """gRPC Predict of a small model with 32 requests in flight, compared with an echo server."""
    configurations = {
        "native, TensorFlow": (("--front=native", TENSORFLOW), 0.90),
        "native, LiteRT": (("--front=native", LITERT), 1.60),
        "python, TensorFlow": (("--front=python", TENSORFLOW), 0.50),
    }
    for name, (flags, target) in configurations.items():
        with echo_server() as echo, testbed.server("mlp", *flags) as server:
            ours, theirs = in_turn(
                testbed.rounds,
                lambda: testbed.grpc(server.grpc, "mlp").requests_per_second,
                lambda: testbed.grpc(echo, "mlp").requests_per_second,
            )
        yield Comparison(f"gRPC Predict, MLP, {name}", "grpc.aio echo", RATE, ours, theirs, target)


def large_json(testbed: Testbed) -> Iterator[Comparison]:
    """The time that JSON adds to a request of 3 MB, compared with json.loads and numpy."""
    body = testbed.json_file("mobilenet").read_bytes()

    def parse_ms() -> float:
        began = time.perf_counter()
        np.array(json.loads(body)["instances"], np.float32)
        return 1e3 * (time.perf_counter() - began)

    with testbed.server("mobilenet", LITERT) as server:

        def added_ms() -> float:
            over_rest = testbed.rest(server.rest, "mobilenet", clients=1).p50_ms
            return over_rest - testbed.grpc(server.grpc, "mobilenet", clients=1).p50_ms

        ours, theirs = in_turn(testbed.rounds, added_ms, parse_ms)
    yield Comparison("REST beyond gRPC, 1x224x224x3", "json.loads + numpy", "ms", ours, theirs, 0.30, at_least=False)


def batching(testbed: Testbed) -> Iterator[Comparison]:
    """32 clients that send single rows, with and without batching. The gain depends on the model."""
    yield _batching(testbed, "mobilenet", "MobileNetV2")
    yield _batching(testbed, "dense", "784-4096-4096-10")


def _batching(testbed: Testbed, model: str, title: str) -> Comparison:
    parameters = testbed.folder / "batching.txt"
    parameters.write_text("max_batch_size { value: 32 } batch_timeout_micros { value: 1000 }")
    flags = "--enable_batching", f"--batching_parameters_file={parameters}"
    with testbed.server(model, TENSORFLOW, *flags) as merged, testbed.server(model, TENSORFLOW) as single:
        ours, theirs = in_turn(
            testbed.rounds,
            lambda: testbed.grpc(merged.grpc, model).requests_per_second,
            lambda: testbed.grpc(single.grpc, model).requests_per_second,
        )
    return Comparison(f"{title}, 32 clients, batching", "without batching", RATE, ours, theirs, 1.5)


def workers(testbed: Testbed) -> Iterator[Comparison]:
    """The same load on two workers and on one. 16 connections, because each connection belongs to one worker."""
    with (
        testbed.server("mlp", TENSORFLOW, "--front=native", "--workers=2") as several,
        testbed.server("mlp", TENSORFLOW, "--front=native") as single,
    ):
        grpc_two, grpc_one, rest_two, rest_one = in_turn(
            testbed.rounds,
            lambda: testbed.grpc(several.grpc, "mlp", connections=16).requests_per_second,
            lambda: testbed.grpc(single.grpc, "mlp", connections=16).requests_per_second,
            lambda: testbed.rest(several.rest, "mlp").requests_per_second,
            lambda: testbed.rest(single.rest, "mlp").requests_per_second,
        )
    yield Comparison("gRPC Predict, MLP, two workers", "one worker", RATE, grpc_two, grpc_one, 1.3)
    yield Comparison("REST predict, MLP, two workers", "one worker", RATE, rest_two, rest_one, 1.3)


def start(testbed: Testbed) -> Iterator[Comparison]:
    """The time from the command to AVAILABLE."""
    testbed.version("mlp")

    def seconds(*flags: str) -> float:
        with testbed.server("mlp", *flags) as server:
            return server.start_seconds

    ours, theirs = in_turn(testbed.rounds, lambda: seconds(LITERT), lambda: seconds(TENSORFLOW))
    yield Comparison("server start, LiteRT", "server start, TensorFlow", "s", ours, theirs, 0.20, at_least=False)
    yield Comparison("server start, LiteRT", "a second", "s", ours, (1.0,), 0.8, at_least=False)


def show(testbed: Testbed) -> Iterator[Comparison]:
    """The time of `show --all` for ResNet50, compared with saved_model_cli."""
    folder = str(testbed.version("resnet"))

    def seconds(*command: str) -> float:
        began = time.perf_counter()
        run_program(*command)
        return time.perf_counter() - began

    cli = sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"
    theirs, ours = in_turn(
        testbed.rounds,
        lambda: seconds(*cli, "show", "--dir", folder, "--all"),
        lambda: seconds(sys.executable, "-m", "tfx_export", "show", folder, "--all"),
    )
    yield Comparison("saved_model_cli show --all, ResNet50", "tfx-export show --all", "s", theirs, ours, 15)


def rest_rate(testbed: Testbed) -> Iterator[Comparison]:
    """REST predict of a small model on 16 connections, compared with the peers."""
    body = testbed.json_file("mlp").read_bytes()
    for name, target in (("bentoml", 18.0), ("ray", 45.0)):
        with (
            testbed.server("mlp", TENSORFLOW) as server,
            running_peer(name, testbed.version("mlp"), body, testbed.folder) as peer,
        ):
            ours, theirs = in_turn(
                testbed.rounds,
                lambda: testbed.rest(server.rest, "mlp").requests_per_second,
                lambda: testbed.rest(peer.address, "mlp", path=PATH).requests_per_second,
            )
        yield Comparison("REST predict, MLP, 16 connections", name, RATE, ours, theirs, target)


def peer_memory(testbed: Testbed) -> Iterator[Comparison]:
    """The peak memory of a server of MobileNetV2, compared with BentoML."""
    body = testbed.json_file("mobilenet").read_bytes()
    with testbed.server("mobilenet", LITERT) as server:
        testbed.rest(server.rest, "mobilenet", clients=4)
        ours = _peak_megabytes(server.pid)
    with running_peer("bentoml", testbed.version("mobilenet"), body, testbed.folder) as peer:
        testbed.rest(peer.address, "mobilenet", clients=4, path=PATH)
        theirs = _peak_megabytes(peer.pid)
    yield Comparison("peak memory, MobileNetV2, LiteRT", "bentoml", "MB", (ours,), (theirs,), 1 / 3, at_least=False)


def _peak_megabytes(pid: int) -> float:
    """The sum of the peak resident sizes of a process and its descendants."""
    process = psutil.Process(pid)
    total = 0
    for each in (process, *process.children(recursive=True)):
        for line in Path(f"/proc/{each.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                total += int(line.split()[1])
    return total / 1024


# Name -> the function that measures it.
TARGETS: dict[str, Measure] = {
    each.__name__: each
    for each in (
        *(grpc_rate, latency, large_json, batching, workers, start, show, swap),
        *(memory_loading, memory_answers, memory_table, memory_swaps, memory_p99),
    )
}
# Targets that need the peers installed. The Makefile has their names too.
PEER_TARGETS: dict[str, Measure] = {each.__name__: each for each in (rest_rate, peer_memory)}
# Names for several targets.
GROUPS = {"memory": [name for name in TARGETS if name.startswith("memory_")]}
