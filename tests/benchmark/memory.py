"""The memory that a model takes and the time until it is available, on the TensorFlow engine (issue 15).

All figures are beyond the server of a tiny model, which has TensorFlow in memory already. Beside them is the plain
SavedModel: tf.saved_model.load and its signature, in a process of its own which has loaded a tiny model as well.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage, rmtree

import grpc
import numpy as np

from tests.benchmark import embedding_table
from tests.benchmark.model_folder import watched_folder
from tests.benchmark.plain_model import plain_model
from tests.benchmark.process_memory import MemorySampler, other_tensorflow_processes, settled_memory
from tests.benchmark.testbed import Testbed, run_program
from tfx_export import wire
from tfx_export.bench.comparison import Comparison
from tfx_export.client import Model, calls
from tfx_export.load.generator import PREDICT, LoadError
from tfx_export.savedmodel.tensor import decode

# The models' names on the server.
TINY, MEASURED = "tiny", "measured"
# Enough that every worker gets some of them: the kernel assigns a connection to any worker.
CONNECTIONS_PER_WORKER = 8
# One page of 4 KB holds this many rows of the embedding table.
ROWS_PER_PAGE = 16
IDS_PER_REQUEST = 1 << 16


@dataclass(frozen=True)
class Subject:
    """A model to measure: its title, its version folder, and files of PredictRequests that use all of its weights.

    `weights` is the size of the files of its variables in MB.
    """

    title: str
    version: Path
    requests: tuple[Path, ...]
    weights: float


@dataclass(frozen=True)
class Cost:
    """What a model costs, in MB and seconds.

    `peak` is the largest memory from its publication until it has answered each request twice, `steady` the memory
    once it does not change any more after that, `anonymous` the part of it that no file backs. `seconds` is the time
    from LOADING to AVAILABLE of a second publication, during which memory is not sampled, and `tiny_seconds` that of a
    second tiny model.
    """

    peak: float
    steady: float
    anonymous: float
    seconds: float
    tiny_seconds: float = 0.0


def memory_loading(testbed: Testbed, model: str = "dense_350mb") -> Iterator[Comparison]:
    """The memory and the load time of a dense network, with the first preparation and with a prepared version.

    Memory is the Pss of all processes of the server, the child that prepares the version included, as a multiple of
    the weights. Files that are only in the page cache do not count.
    """
    subject = _subject(model, testbed.version(model), [testbed.message_file(model, rows) for rows in (1, 32)])
    rounds = [_measure_round(testbed, subject) for _ in range(testbed.rounds)]
    first, prepared, two_workers, plain = zip(*rounds, strict=True)
    yield _multiple(subject, "peak memory, the first time", first, "peak", 2.5)
    yield _multiple(subject, "peak memory, once prepared", prepared, "peak", 1.3)
    yield _multiple(subject, "peak memory, once prepared, two workers", two_workers, "peak")
    yield _multiple(subject, "peak memory, plain SavedModel", plain, "peak")
    yield _multiple(subject, "steady memory, one process", prepared, "steady", 1.15)
    yield _multiple(subject, "steady memory, two workers", two_workers, "steady", 1.3)
    yield _multiple(subject, "steady memory after the first preparation", first, "steady")
    yield _multiple(subject, "steady memory, plain SavedModel", plain, "steady")
    yield _multiple(subject, "anonymous part of the steady memory, one process", prepared, "anonymous")
    yield _seconds("LOADING to AVAILABLE, once prepared", prepared, "seconds", 1.5)
    yield _seconds("LOADING to AVAILABLE, the first time", first, "seconds", 6.0)
    yield _seconds("LOADING to AVAILABLE, a tiny model, once prepared", prepared, "tiny_seconds")
    yield _seconds("LOADING to AVAILABLE, a tiny model, the first time", first, "tiny_seconds")
    yield _seconds("load, plain SavedModel", plain, "seconds")


def memory_table(testbed: Testbed, rows: int = 10_000_000) -> Iterator[Comparison]:
    """The memory and load time of a model with an embedding table of 2.5 GB, measured once. Checks its answers too.

    It needs twice the size of the table on the disk, and is removed afterwards. The requests read one row of each page
    of the table. The load time of the first preparation is taken while memory is sampled.
    """
    size = rows * embedding_table.ROW_BYTES
    if (free := disk_usage(testbed.folder).free) < 2.2 * size:
        testbed.report(f"Skipped memory_table: it needs {2.2 * size / 1e9:.1f} GB of disk, {free / 1e9:.1f} are free")
        return
    folder = testbed.folder / "table"
    rmtree(folder, ignore_errors=True)
    try:
        subject = _write_table(testbed, folder, rows)
        first = _server_cost(testbed, subject, folder / "prepared")
        prepared = _server_cost(testbed, subject, folder / "prepared", timed=True)
        plain = _plain_cost(testbed, subject)
    finally:
        rmtree(folder, ignore_errors=True)
    yield _multiple(subject, "peak memory, the first time", (first,), "peak")
    yield _multiple(subject, "peak memory, once prepared", (prepared,), "peak")
    yield _multiple(subject, "peak memory, plain SavedModel", (plain,), "peak")
    yield _multiple(subject, "steady memory, one process", (prepared,), "steady", 1.2)
    yield _multiple(subject, "steady memory, plain SavedModel", (plain,), "steady")
    yield _seconds(f"LOADING to AVAILABLE, {subject.title}, once prepared", (prepared,), "seconds")
    yield _seconds(f"LOADING to AVAILABLE, {subject.title}, the first time", (first,), "seconds")
    yield _seconds(f"load, plain SavedModel, {subject.title}", (plain,), "seconds")


def _subject(title: str, version: Path, requests: Sequence[Path]) -> Subject:
    weights = sum(file.stat().st_size for file in version.glob("variables/*.data-*")) / 1e6
    return Subject(title, version, tuple(requests), weights)


def _multiple(subject: Subject, what: str, costs: Sequence[Cost], kind: str, target: float | None = None) -> Comparison:
    values = tuple(getattr(cost, kind) for cost in costs)
    return Comparison(f"{subject.title}, {what}", "weights", "MB", values, (subject.weights,), target, at_least=False)


def _seconds(what: str, costs: Sequence[Cost], kind: str, target: float | None = None) -> Comparison:
    values = tuple(getattr(cost, kind) for cost in costs)
    return Comparison(what, "a second", "s", values, (1.0,), target, at_least=False)


def _measure_round(testbed: Testbed, subject: Subject) -> tuple[Cost, Cost, Cost, Cost]:
    prepared = testbed.folder / "prepared_memory"
    rmtree(prepared, ignore_errors=True)
    return (
        _server_cost(testbed, subject, prepared, timed=True, variant=1),
        _server_cost(testbed, subject, prepared, timed=True),
        _server_cost(testbed, subject, prepared, workers=2),
        _plain_cost(testbed, subject),
    )


def _server_cost(
    testbed: Testbed, subject: Subject, prepared: Path, *, workers: int = 1, timed: bool = False, variant: int = 0
) -> Cost:
    """Measures a model in a server. If `timed`, it is published again, as this `variant`, to take the time."""
    if others := other_tensorflow_processes():
        testbed.report(f"The memory may be wrong: processes {others} share the pages of TensorFlow's libraries")
    tiny = testbed.version("mlp")
    connections = 1 if workers == 1 else CONNECTIONS_PER_WORKER * workers
    with watched_folder(testbed, {TINY: tiny}, prepared, workers=workers) as server:
        _send(server.grpc, TINY, (testbed.message_file("mlp"),), connections)
        base = settled_memory(server.pid)
        with MemorySampler(server.pid) as sampler:
            server.publish(subject.version, MEASURED)
            _send(server.grpc, MEASURED, subject.requests, connections)
        steady = settled_memory(server.pid) - base
        tiny_seconds, seconds = 0.0, server.load_seconds(MEASURED)
        if timed:
            server.publish(tiny, "again_tiny", variant=variant)
            server.publish(subject.version, "again", variant=variant)
            tiny_seconds, seconds = server.load_seconds("again_tiny"), server.load_seconds("again")
    return Cost(sampler.peak() - base.total, steady.total, steady.anonymous, seconds, tiny_seconds)


def _plain_cost(testbed: Testbed, subject: Subject) -> Cost:
    tiny = testbed.version("mlp"), testbed.message_file("mlp")
    with plain_model(tiny, subject.version, subject.requests) as plain:
        base = settled_memory(plain.pid)
        with MemorySampler(plain.pid) as sampler:
            plain.load()
            plain.call()
        steady = settled_memory(plain.pid) - base
        seconds = plain.load()
    return Cost(sampler.peak() - base.total, steady.total, steady.anonymous, seconds)


def _send(address: str, name: str, requests: Sequence[Path], connections: int = 1) -> None:
    """Sends each request twice on each of `connections` connections to the model `name`. Checks answers of a table."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    for _ in range(connections):
        with grpc.insecure_channel(address, options) as channel:
            predict: Callable[[bytes], bytes] = channel.unary_unary(PREDICT)
            for file in requests:
                request = wire.PredictRequest.FromString(file.read_bytes())
                request.model_spec.name = name
                for _ in range(2):
                    _check_scores(request, wire.PredictResponse.FromString(predict(request.SerializeToString())))


def _check_scores(request: wire.PredictRequest, response: wire.PredictResponse) -> None:
    """Raises LoadError if the scores of an embedding table are wrong."""
    if "ids" in request.inputs:
        expected = embedding_table.expected_scores(decode(request.inputs["ids"]))
        if not np.allclose(decode(response.outputs["scores"]), expected, rtol=1e-4):
            raise LoadError("The scores of the embedding table are wrong")


def _write_table(testbed: Testbed, folder: Path, rows: int) -> Subject:
    testbed.report(f"Writing an embedding table of {rows * embedding_table.ROW_BYTES / 1e9:.1f} GB")
    run_program(sys.executable, "-m", "tests.benchmark.embedding_table", str(folder / "1"), str(rows))
    ids = np.arange(0, rows, ROWS_PER_PAGE)
    requests = []
    for start in range(0, len(ids), IDS_PER_REQUEST):
        requests.append(folder / f"{start}.request")
        call = calls.predict(Model(MEASURED), {"ids": ids[start : start + IDS_PER_REQUEST]})
        requests[-1].write_bytes(call.request.SerializeToString())
    return _subject("embedding table", folder / "1", requests)
