"""The request log: rules from LoggingConfig, sampling, rotation, and the files."""

import threading
from pathlib import Path

import pytest

from serve import metrics
from serve.errors import Code, ServeError
from serve.request_log.log import MAX_PENDING_BYTES, RequestLog, Rule, logging_rule
from tfx_export import wire
from tfx_export.wire.tfrecord import read_records


def logging_config(text: str) -> wire.LoggingConfig:
    return wire.parse_text(wire.LoggingConfig, text)


def log_to(prefix: Path, rate: float = 1.0) -> Rule:
    text = f'log_collector_config {{ filename_prefix: "{prefix}" }} sampling_config {{ sampling_rate: {rate} }}'
    found = logging_rule("mnist", logging_config(text))
    assert found is not None
    return found


def put(log: RequestLog, number: int, *, payload: int = 0, size: int = 0) -> None:
    def fill(record: wire.PredictionLog) -> None:
        record.predict_log.request.model_spec.name = f"request {number}" + "x" * payload

    found = log.sample("mnist")
    if found is not None:
        log.put(found, wire.ModelSpec(name="mnist", signature_name="serving_default"), size, fill)


def records(folder: Path) -> list[wire.PredictionLog]:
    return [wire.PredictionLog.FromString(data) for path in sorted(folder.iterdir()) for data in read_records(path)]


def new_log(*, max_file_bytes: int = 1 << 20, max_files: int = 10) -> RequestLog:
    return RequestLog("serve", max_file_bytes=max_file_bytes, max_files=max_files)


def test_records_have_the_request_and_the_version(tmp_path: Path) -> None:
    log = new_log()
    log.update({"mnist": log_to(tmp_path / "mnist")})
    put(log, 1)
    put(log, 2)
    log.close()
    first, second = records(tmp_path)
    assert first.predict_log.request.model_spec.name == "request 1"
    assert second.predict_log.request.model_spec.name == "request 2"
    assert first.log_metadata.model_spec.name == "mnist"
    assert first.log_metadata.saved_model_tags == ["serve"]
    assert first.log_metadata.sampling_config.sampling_rate == 1.0
    assert first.log_metadata.timestamp_secs > 1_600_000_000


def test_the_rate_is_the_share_of_logged_requests(tmp_path: Path) -> None:
    log = new_log()
    log.update({"mnist": log_to(tmp_path / "mnist", rate=0.5)})
    sampled = sum(log.sample("mnist") is not None for _ in range(2000))
    assert 800 < sampled < 1200
    assert log.sample("other") is None


def test_full_files_are_rotated_and_the_oldest_are_removed(tmp_path: Path) -> None:
    log = new_log(max_file_bytes=1000, max_files=3)
    log.update({"mnist": log_to(tmp_path / "mnist")})
    for number in range(20):
        put(log, number, payload=400)
    log.close()
    assert len(list(tmp_path.iterdir())) == 3
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    assert records(tmp_path)[-1].predict_log.request.model_spec.name.startswith("request 19")


def test_other_files_in_the_folder_are_kept(tmp_path: Path) -> None:
    neighbours = [
        tmp_path / "mnist-notes.tfrecord",
        tmp_path / "mnist",
        tmp_path / "mnist2-20200101T000000-00001.tfrecord",
    ]
    for neighbour in neighbours:
        neighbour.write_text("keep")
    log = new_log(max_file_bytes=1, max_files=1)
    log.update({"mnist": log_to(tmp_path / "mnist")})
    for number in range(3):
        put(log, number)
    log.close()
    assert all(neighbour.read_text() == "keep" for neighbour in neighbours)
    assert len(list(tmp_path.iterdir())) == len(neighbours) + 1


def test_a_slow_writer_drops_records_and_does_not_delay_requests(tmp_path: Path) -> None:
    log = new_log()
    log.update({"mnist": log_to(tmp_path / "mnist")})
    dropped = metrics.request_log_dropped[("mnist",)]
    before = dropped.value
    hold, holding = threading.Event(), threading.Event()

    def wait(record: wire.PredictionLog) -> None:
        holding.set()
        hold.wait()

    found = log.sample("mnist")
    assert found is not None
    log.put(found, wire.ModelSpec(name="mnist"), 0, wait)
    holding.wait()
    put(log, 1, size=MAX_PENDING_BYTES)
    put(log, 2, size=1)
    hold.set()
    log.close()
    assert dropped.value - before == 1
    assert [record.predict_log.request.model_spec.name for record in records(tmp_path)] == ["", "request 1"]


def test_a_record_that_fails_does_not_end_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = new_log()
    log.update({"mnist": log_to(tmp_path / "mnist")})

    def fail(record: wire.PredictionLog) -> None:
        raise ValueError("broken")

    found = log.sample("mnist")
    assert found is not None
    log.put(found, wire.ModelSpec(name="mnist"), 0, fail)
    put(log, 2)
    log.close()
    assert [record.predict_log.request.model_spec.name for record in records(tmp_path)] == ["request 2"]
    assert "broken" in caplog.text


def test_an_unwritable_folder_is_logged_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    failed = metrics.request_log_count["mnist", "UNAVAILABLE"]
    before = failed.value
    log = new_log()
    log.update({"mnist": log_to(tmp_path / "file" / "mnist")})
    put(log, 1)
    log.close()
    assert failed.value - before == 1
    assert "Request log" in caplog.text


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", None),
        ("sampling_config { sampling_rate: 0 }", None),
        ('log_collector_config { filename_prefix: "/a" } sampling_config { sampling_rate: 0.25 }', 0.25),
        ('log_collector_config { type: "tfrecord" filename_prefix: "/a" } sampling_config { sampling_rate: 1 }', 1.0),
        (
            'log_collector_config { filename_prefix: "/a" } sampling_config { sampling_rate: 1'
            ' per_task_sampling_configs { dc: "other" sampling_rate: 0.1 }'
            " per_task_sampling_configs { task_index: 0 sampling_rate: 0.5 } }",
            0.5,
        ),
    ],
)
def test_logging_config(text: str, rate: float | None) -> None:
    found = logging_rule("mnist", logging_config(text))
    assert (found.rate if found else None) == rate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('log_collector_config { type: "kafka" } sampling_config { sampling_rate: 1 }', '"kafka" is not known'),
        ("sampling_config { sampling_rate: 1 }", "filename_prefix is missing"),
        ('log_collector_config { filename_prefix: "/a" } sampling_config { sampling_rate: 2 }', "not between 0 and 1"),
        ('log_collector_config { filename_prefix: "/a" } sampling_config { sampling_rate: nan }', "not between 0 and"),
    ],
)
def test_an_unsupported_logging_config_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ServeError, match=message) as caught:
        logging_rule("mnist", logging_config(text))
    assert caught.value.code is Code.INVALID_ARGUMENT
