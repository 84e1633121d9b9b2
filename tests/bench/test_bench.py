"""The benchmarks run at a small size. The tests do not check the measured values."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import tfx_export
from tests.support.server import RunningServer
from tfx_export.bench.comparison import Comparison, in_turn
from tfx_export.client import Model, calls
from tfx_export.load.generator import PREDICT, Load, LoadError, measure


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    file = tmp_path / "request"
    call = calls.predict(Model("half_plus_two"), {"x": np.ones((1, 1), np.float32)})
    file.write_bytes(call.request.SerializeToString())
    return file


def test_all_responses_are_counted_over_grpc_and_rest(
    server: RunningServer, request_file: Path, tmp_path: Path
) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"instances": [[1.0]]}')
    rest = server.rest.removeprefix("http://"), "/v1/models/half_plus_two:predict", str(body)
    for load in (Load("grpc", server.grpc, PREDICT, str(request_file), 2, 4, 0.2), Load("rest", *rest, 2, 1, 0.2)):
        measured = measure(load)
        assert measured.rate > 0
        assert 0 < measured.median_ms <= measured.p99_ms
        assert measured.failures == 0


def test_messages_larger_than_the_http2_window_are_sent_completely(server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "large"
    call = calls.predict(Model("half_plus_two"), {"x": np.ones((1_000_000, 1), np.float32)})
    file.write_bytes(call.request.SerializeToString())
    assert measure(Load("grpc", server.grpc, PREDICT, str(file), 1, 3, 1.0)).failures == 0


def test_failed_requests_do_not_count_as_answered(server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "request"
    file.write_bytes(calls.predict(Model("nope"), {}).request.SerializeToString())
    with pytest.raises(LoadError, match="none was answered"):
        measure(Load("grpc", server.grpc, PREDICT, str(file), 1, 1, 0.2))


@pytest.mark.parametrize(
    ("bar", "at_least", "met"), [(None, True, None), (2.0, True, True), (2.1, True, False), (2.0, False, True)]
)
def test_the_ratio_is_the_ratio_of_the_medians(bar: float | None, at_least: bool, met: bool | None) -> None:
    rounds = iter((8.0, 4.0, 1000.0, 1.0, 6.0, 4.0))
    ours, theirs = in_turn(3, lambda: next(rounds), lambda: next(rounds))
    comparison = Comparison("a", "b", "ms", ours, theirs, bar, at_least)
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


@pytest.mark.slow
def test_make_bench_measures_the_chosen_comparisons(tmp_path: Path) -> None:
    options = ["--seconds=0.2", "--rounds=1", f"--folder={tmp_path}/work", f"--output={tmp_path}/bench.json"]
    chosen = ["--only=grpc_rate", "--only=start", "--only=swap"]
    subprocess.run([sys.executable, "-m", "tests.benchmark", *options, *chosen], check=True)
    comparisons = json.loads((tmp_path / "bench.json").read_text())["comparisons"]
    assert len(comparisons) == 6
    assert all(each["ratio"] > 0 and each["bar"] for each in comparisons)
