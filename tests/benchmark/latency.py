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


def memory_answers(testbed: Testbed, model: str = "dense_350mb") -> Iterator[Comparison]:
    """The latency of a dense network whose weights are mapped from files.

    The targets come from a processor on which TensorFlow does not use oneDNN by default. On others the plain signature
    is measured without oneDNN too.
    """
    yield from _mapped_latency(testbed, model, 1, 0.9)
    yield from _mapped_latency(testbed, model, 32, 1.0)


def _mapped_latency(testbed: Testbed, model: str, rows: int, target: float) -> Iterator[Comparison]:
    with testbed.server(model, TENSORFLOW) as server:
        ours, plain, without = in_turn(
            testbed.rounds,
            lambda: testbed.grpc(server.grpc, model, rows, clients=1).p50_ms,
            lambda: testbed.plain_ms(model, rows),
            lambda: testbed.plain_ms(model, rows, TF_ENABLE_ONEDNN_OPTS="0"),
        )
    what = f"{model}, batch {rows}, tensorflow"
    yield Comparison(what, "plain signature", "ms", ours, plain, target, at_least=False)
    yield Comparison(what, "plain, no oneDNN", "ms", ours, without, target, at_least=False)


def _latency(testbed: Testbed, model: str, rows: int, engine: str, target: float | None = None) -> Comparison:
    with testbed.server(model, engine) as server:
        ours, theirs = in_turn(
            testbed.rounds,
            lambda: testbed.grpc(server.grpc, model, rows, clients=1).p50_ms,
            lambda: testbed.plain_ms(model, rows),
        )
    what = f"{TITLES[model]}, batch {rows}, {engine.partition('=')[2]}"
    return Comparison(what, "plain signature", "ms", ours, theirs, target, at_least=False)
