"""`tfx-export replay` sends logged requests again to a real server and compares the responses."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.command_line import tfx_export
from tests.support.fronts import one_front
from tests.support.server import RunningServer
from tfx_export import wire
from tfx_export.savedmodel import tensor
from tfx_export.wire.tfrecord import write_records

# One front is enough, because the command sends the same requests to each.
pytestmark = one_front


def log(x: Sequence[float], y: Sequence[float] | None, *, model: str = "plus", version: int = 1) -> wire.PredictionLog:
    """Returns a logged Predict request, with the response `y` of a version that no longer exists."""
    record = wire.PredictionLog()
    request = record.predict_log.request
    request.model_spec.name = model
    request.model_spec.version.value = version
    request.inputs["x"].CopyFrom(tensor.encode(np.array(x, np.float32)))
    if y is not None:
        record.predict_log.response.outputs["y"].CopyFrom(tensor.encode(np.array(y, np.float32)))
    return record


def written(tmp_path: Path, *records: wire.PredictionLog) -> Path:
    path = tmp_path / "requests.tfrecord"
    write_records(path, [record.SerializeToString() for record in records])
    return path


def test_equal_responses_give_exit_code_0(server: RunningServer, tmp_path: Path) -> None:
    path = written(tmp_path, log([1, 2], [5, 6]), log([0], [4]), log([7], None))
    done = tfx_export("replay", path, "--server", server.grpc)
    assert done.stdout == (
        "3 requests: 2 equal, 0 different, 0 refused, 1 without a logged response to compare;"
        " largest error: plus//y 0\n"
    )


def test_different_responses_are_shown_and_give_exit_code_5(server: RunningServer, tmp_path: Path) -> None:
    path = written(tmp_path, log([1, 2], [5, 6]), log([1, 2], [5, 6.6]), log([1], [1, 2]))
    done = tfx_export("replay", path, "--server", server.grpc, code=5)
    assert "record 1: plus//y differs: error 0.0909, allowed 0.0001" in done.stderr
    assert "record 2: plus//y differs: shape [1] where [2] is expected" in done.stderr
    assert done.stdout.startswith("3 requests: 1 equal, 2 different, 0 refused")


def test_the_tolerance_can_be_set(server: RunningServer, tmp_path: Path) -> None:
    path = written(tmp_path, log([1, 2], [5, 6.1]))
    tfx_export("replay", path, "--server", server.grpc, code=5)
    tfx_export("replay", path, "--server", server.grpc, "--tolerance", "0.05")


def test_refused_requests_give_exit_code_5(server: RunningServer, tmp_path: Path) -> None:
    path = written(tmp_path, log([1], [5]), log([1], [5], model="gone"))
    done = tfx_export("replay", path, "--server", server.grpc, "--json", code=5)
    report = json.loads(done.stdout)
    assert {key: report[key] for key in ("requests", "equal", "different", "refused")} == {
        "requests": 2, "equal": 1, "different": 0, "refused": 1
    }  # fmt: skip
    assert "NOT_FOUND" in report["differences"][0]["problem"]


@pytest.mark.parametrize("options", [["--model", "plus"], ["--model", "plus", "--version", "4"]], ids=" ".join)
def test_requests_can_be_sent_to_another_model_or_version(
    server: RunningServer, tmp_path: Path, options: list[str]
) -> None:
    path = written(tmp_path, log([1], [5], model="gone"))
    tfx_export("replay", path, "--server", server.grpc, *options)


def test_limit_ends_the_replay_early(server: RunningServer, tmp_path: Path) -> None:
    path = written(tmp_path, log([1], [5]), log([1], [99]))
    assert tfx_export("replay", path, "--server", server.grpc, "--limit", "1").stdout.startswith("1 requests: 1 equal")


def test_classify_and_regress_are_compared(server: RunningServer, tmp_path: Path) -> None:
    example = wire.Example()
    example.features.feature["word"].bytes_list.value.append(b"banana")
    records = []
    for score in (2.0, 3.0):
        record = wire.PredictionLog()
        logged = record.regress_log
        logged.request.model_spec.name = "words"
        logged.request.model_spec.signature_name = "regress"
        logged.request.input.example_list.examples.append(example)
        logged.response.result.regressions.add(value=score)
        records.append(record)
    done = tfx_export("replay", written(tmp_path, *records), "--server", server.grpc, code=5)
    assert "record 1: words/regress/values differs: error 0.333" in done.stderr
    assert done.stdout.startswith("2 requests: 1 equal, 1 different")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no record", "cut off"), (b"\0" * 40, "damaged"), (b"", "No requests in")],
)
def test_an_unreadable_log_gives_exit_code_2(
    server: RunningServer, tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "broken.tfrecord"
    path.write_bytes(content)
    assert message in tfx_export("replay", path, "--server", server.grpc, code=2).stderr
