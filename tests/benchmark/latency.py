"""The latency of one client over gRPC, compared with the plain signature in process."""

from collections.abc import Iterator

from tests.benchmark.testbed import LITERT, TENSORFLOW, Testbed
from tfx_export.bench.comparison import Comparison, in_turn

TITLES = {"mobilenet": "MobileNetV2", "resnet": "ResNet50"}


def latency(testbed: Testbed) -> Iterator[Comparison]:
    """The latency of MobileNetV2 with both engines, and of ResNet50 with TensorFlow."""
    yield _latency(testbed, "mobilenet", 1, TENSORFLOW, 0.80)
    yield _latency(testbed, "mobilenet", 1, LITERT, 0.25)
    yield _latency(testbed, "mobilenet", 8, TENSORFLOW, 0.60)
    yield _latency(testbed, "mobilenet", 8, LITERT, 0.35)
    yield _latency(testbed, "resnet", 1, TENSORFLOW)
    yield _latency(testbed, "resnet", 8, TENSORFLOW)


def memory_answers(testbed: Testbed) -> Iterator[Comparison]:
    """The latency of a dense network whose weights are mapped from files."""
    yield _latency(testbed, "dense_350mb", 1, TENSORFLOW, 0.9)
    yield _latency(testbed, "dense_350mb", 32, TENSORFLOW, 1.0)


def _latency(testbed: Testbed, model: str, rows: int, engine: str, target: float | None = None) -> Comparison:
    with testbed.server(model, engine) as server:
        ours, theirs = in_turn(
            testbed.rounds,
            lambda: testbed.grpc(server.grpc, model, rows, clients=1).p50_ms,
            lambda: testbed.plain_ms(model, rows),
        )
    what = f"{TITLES.get(model, model)}, batch {rows}, {engine.partition('=')[2]}"
    return Comparison(what, "plain signature", "ms", ours, theirs, target, at_least=False)
