"""The load generator and both benchmarks run, at a small size. No test checks the figures."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.benchmark.memory import memory_table
from tests.benchmark.swapping import memory_swaps
from tests.benchmark.targets import GROUPS, PEER_TARGETS, TARGETS
from tests.benchmark.testbed import Testbed
from tests.docs.page import ROOT
from tests.support.command_line import tfx_export
from tests.support.server import RunningServer
from tfx_export.bench.comparison import Comparison, in_turn
from tfx_export.client import Model, calls
from tfx_export.load.generator import PREDICT, Load, LoadError, measure


def message(model: str, **inputs: npt.ArrayLike) -> bytes:
    """Returns a serialized PredictRequest."""
    return bytes(calls.predict(Model(model), inputs).request.SerializeToString())


def test_all_responses_are_counted_over_grpc_and_rest(server: RunningServer) -> None:
    messages = (
        message("half_plus_two", x=np.ones((1, 1), np.float32)),
        message("half_plus_two", x=np.ones((2, 1), np.float32)),
    )
    bodies = b'{"instances": [[1.0]]}', b'{"instances": [[1.0], [2.0]]}'
    rest = server.rest.removeprefix("http://"), "/v1/models/half_plus_two:predict"
    for load in (
        Load("grpc", server.grpc, PREDICT, messages, clients=9, connections=2, seconds=0.2),
        Load("rest", *rest, bodies, clients=2, seconds=0.2),
    ):
        measured = measure(load)
        assert measured.requests_per_second > 0
        assert 0 < measured.p50_ms <= measured.p99_ms
        assert measured.failures == 0


def test_messages_larger_than_the_http2_window_are_sent_completely(server: RunningServer) -> None:
    messages = (
        message("half_plus_two", x=np.ones((1_000_000, 1), np.float32)),
        message("half_plus_two", x=np.ones((1, 1), np.float32)),
    )
    load = Load("grpc", server.grpc, PREDICT, messages, clients=3, connections=1, seconds=1.0)
    assert measure(load).failures == 0


def test_a_response_slower_than_the_measured_time_counts(server: RunningServer) -> None:
    slow = message("slow", loops=np.int32(100_000))
    measured = measure(Load("grpc", server.grpc, PREDICT, (slow,), clients=1, seconds=0.01))
    assert measured.p50_ms > 10
    assert measured.requests_per_second < 100


def test_failures_are_not_counted_as_responses(server: RunningServer) -> None:
    with pytest.raises(LoadError, match="none was answered"):
        measure(Load("grpc", server.grpc, PREDICT, (message("nope"),), clients=1, seconds=0.2))


@pytest.mark.parametrize(
    ("target", "at_least", "met"), [(None, True, None), (2.0, True, True), (2.1, True, False), (2.0, False, True)]
)
def test_the_ratio_is_the_ratio_of_the_medians(target: float | None, at_least: bool, met: bool | None) -> None:
    rounds = iter((8.0, 4.0, 1000.0, 1.0, 6.0, 4.0))
    ours, theirs = in_turn(3, lambda: next(rounds), lambda: next(rounds))
    comparison = Comparison("a", "b", "ms", ours, theirs, target, at_least)
    assert (comparison.ratio, comparison.met) == (2.0, met)


@pytest.mark.slow
def test_a_model_of_the_user_is_measured(served_models: Path) -> None:
    done = tfx_export("bench", served_models / "half_plus_two", "--seconds", "0.2", "--rounds", "1", "--json")
    comparisons = json.loads(done.stdout)["comparisons"]
    assert [each["what"] for each in comparisons] == [
        "gRPC, tensorflow, native, 32 clients",
        "REST, tensorflow, native, 32 clients",
        "gRPC, tensorflow, one client",
        "gRPC, tensorflow, python, 32 clients",
        "REST, tensorflow, python, 32 clients",
    ]
    assert all(each["ratio"] > 0 for each in comparisons)


@pytest.fixture(scope="module")
def bench_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the developers' benchmark, which keeps the exported model for its next run."""
    return tmp_path_factory.mktemp("bench")


@pytest.mark.slow
def test_make_bench_measures_the_chosen_comparisons(bench_folder: Path) -> None:
    options = ["--seconds=0.2", "--rounds=1", f"--folder={bench_folder}", f"--output={bench_folder}/bench.json"]
    chosen = ["--only=grpc_rate", "--only=start", "--only=swap"]
    subprocess.run([sys.executable, "-m", "tests.benchmark", *options, *chosen], check=True, cwd=ROOT)
    comparisons = json.loads((bench_folder / "bench.json").read_text())["comparisons"]
    assert len(comparisons) == 6
    assert all(each["ratio"] > 0 and each["bar"] for each in comparisons)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_measured_while_versions_are_loaded_and_swapped(bench_folder: Path) -> None:
    testbed = Testbed(bench_folder, seconds=0.2, rounds=1, report=print)
    comparisons = [*memory_table(testbed, rows=200_000), *memory_swaps(testbed, "mlp", swaps=2)]
    assert len(comparisons) == 9
    by_name = {each.what: each for each in comparisons}
    # 51 MB of weights, mapped by the server and read by the plain SavedModel.
    assert by_name["embedding table, steady memory, one process"].values[0] > 0
    assert by_name["embedding table, peak memory, the first time"].ratio > 1


def test_make_bench_installs_the_peers_only_for_the_parts_that_need_them(tmp_path: Path) -> None:
    def commands(choice: str) -> str:
        return subprocess.check_output(
            ["make", "--dry-run", "bench", f"BENCH={choice}", f"PEERS={tmp_path}"], cwd=ROOT, text=True
        )

    for target in PEER_TARGETS:
        assert "bentoml" in commands(f"--only {target}")
        assert "bentoml" in commands(f"--only latency --only={target}")
    assert "bentoml" in commands("--rounds 1")
    for name in (*TARGETS, *GROUPS):
        assert "bentoml" not in commands(f"--only {name}")
