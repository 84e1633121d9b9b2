"""No version ends the server, and none keeps another one from being served, while it is prepared, loaded or called."""

import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.server import RunningServer, publish, starting, wait_until

X = {"x": np.array([[1.0]], np.float32)}
ODD = (
    *("sparse_input", "huge_shape", "large_volume", "no_signatures", "echo", "tapped", "two_ranks", "wrong_names"),
    *("ragged_output", "sparse_output"),
)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_good_model_answers_while_odd_ones_come_and_go(
    workers: int,
    front: str,
    start_server: Callable[..., RunningServer],
    built: Callable[[str], Path],
    served_models: Path,
    tmp_path: Path,
) -> None:
    if front == "python" and workers > 1:
        pytest.skip("the Python front has one process")
    odd, models = built("tests.support.odd_models"), tmp_path / "models"
    publish(served_models / "half_plus_two" / "1", models / "good")
    server = start_server(
        str(models),
        "--watch",
        "--file_system_poll_wait_seconds=0.1",
        f"--workers={workers}",
        f"--prepared_dir={tmp_path / 'prepared'}",
    )
    failures: list[Exception] = []
    answers: list[float] = []
    done = threading.Event()

    def send_requests() -> None:
        with server.client as client:
            while not done.wait(0.01):
                try:
                    answers.append(float(client.predict("good", X)["y"][0, 0]))
                except Exception as error:
                    failures.append(error)

    client = threading.Thread(target=send_requests)
    client.start()
    process_ids = sorted(process.pid for process in psutil.Process(server.process.pid).children())
    try:
        for name in ODD:
            publish(odd / name / "1", models / name)
        for name in ODD:
            wait_until(lambda name=name: server.states(name) == {1: "AVAILABLE"})  # type: ignore[misc]
        for name in ODD:
            shutil.rmtree(models / name)
        for name in ODD:
            wait_until(lambda name=name: server.states(name) == {1: "END"})  # type: ignore[misc]
    finally:
        done.set()
        client.join()
    assert failures == []
    assert set(answers) == {2.5}
    left = sorted(process.pid for process in psutil.Process(server.process.pid).children())
    assert left == process_ids


@pytest.mark.slow
def test_sigterm_during_a_preparation_leaves_nothing_behind(
    front: str, served_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = tmp_path / "waiting"
    monkeypatch.setenv("TFX_EXPORT_TEST_WAIT", str(waiting))
    prepared = tmp_path / "prepared"
    flags = "--import=tests.support.odd_import", f"--prepared_dir={prepared}", f"--front={front}"
    with starting(tmp_path, str(served_models / "half_plus_two"), *flags) as (process, _, log):
        wait_until(lambda: waiting.exists() or process.poll() is not None)
        (child,) = preparing(process.pid)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    wait_until(lambda: not child.is_running(), 10)
    assert process.returncode in (0, 128 + signal.SIGTERM), log.read_text()
    assert entries(prepared) == []


@pytest.mark.slow
def test_a_server_that_serves_stops_in_the_middle_of_a_preparation(
    front: str,
    start_server: Callable[..., RunningServer],
    served_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models, prepared, waiting = tmp_path / "models", tmp_path / "prepared", tmp_path / "waiting"
    monkeypatch.setenv("TFX_EXPORT_TEST_WAIT", str(waiting))
    publish(served_models / "plus" / "1", models / "good")
    flags = "--import=tests.support.odd_import", f"--prepared_dir={prepared}", "--file_system_poll_wait_seconds=0.1"
    server = start_server(str(models), "--watch", *flags)
    publish(served_models / "half_plus_two" / "1", models / "late")
    wait_until(waiting.exists)
    (child,) = preparing(server.process.pid)
    assert server.stop(seconds=30) == 0
    wait_until(lambda: not child.is_running(), 10)
    assert entries(prepared) == []


@pytest.mark.slow
def test_a_killed_server_leaves_no_child(
    front: str, served_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = tmp_path / "waiting"
    monkeypatch.setenv("TFX_EXPORT_TEST_WAIT", str(waiting))
    flags = "--import=tests.support.odd_import", f"--prepared_dir={tmp_path / 'prepared'}", f"--front={front}"
    with starting(tmp_path, str(served_models / "half_plus_two"), *flags) as (process, _, _log):
        wait_until(lambda: waiting.exists() or process.poll() is not None)
        (child,) = preparing(process.pid)
        process.kill()
        process.wait(60)
        wait_until(lambda: not child.is_running(), 10)


@pytest.mark.slow
def test_a_killed_child_is_no_end_of_the_server(
    front: str,
    start_server: Callable[..., RunningServer],
    served_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models, prepared = tmp_path / "models", tmp_path / "prepared"
    publish(served_models / "plus" / "1", models / "good")
    waiting = tmp_path / "waiting"
    monkeypatch.setenv("TFX_EXPORT_TEST_WAIT", str(waiting))
    flags = "--import=tests.support.odd_import", f"--prepared_dir={prepared}", "--file_system_poll_wait_seconds=0.1"
    server = start_server(str(models), "--watch", *flags)
    publish(served_models / "half_plus_two" / "1", models / "killed")
    wait_until(waiting.exists)
    preparing(server.process.pid)[0].kill()
    wait_until(lambda: server.states("killed") == {1: "END"})
    with server.client as client:
        (version,) = client.status("killed")
        assert version.error == "loading ended by SIGKILL"
        assert client.predict("good", {"x": np.array([1.0], np.float32)})["y"].tolist() == [2.0]
    assert entries(prepared) == []


@pytest.mark.slow
@pytest.mark.parametrize("front", ["native"], indirect=True)
@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_version_that_ends_the_worker_twice_is_put_into_quarantine(
    from_the_start: bool,
    start_server: Callable[..., RunningServer],
    served_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tmp_path / "half"
    publish(served_models / "half_plus_two" / "1", model)
    if from_the_start:
        publish(served_models / "half_plus_two" / "1", model, 2)
    monkeypatch.setenv("TFX_EXPORT_TEST_CRASH", str(model / "2"))
    server = start_server(str(model), "--import=tests.support.odd_import", "--file_system_poll_wait_seconds=0.1")
    if not from_the_start:
        assert server.states("half") == {1: "AVAILABLE"}
        publish(served_models / "half_plus_two" / "1", model, 2)

    def in_quarantine() -> bool:
        try:
            return server.states("half") == {1: "AVAILABLE", 2: "END"}
        except Exception:  # between two workers
            return False

    wait_until(in_quarantine)
    with server.client as client:
        errors = {version.version: version.error for version in client.status("half")}
        assert errors[2] == "In quarantine: the worker ended 2 times while it loaded these files"
        assert client.predict("half", X)["y"].tolist() == [[2.5]]
    assert server.log.read_text().count(f"The worker ended while it loaded {model / '2'}") == 2


def preparing(pid: int) -> list[psutil.Process]:
    """The children of a server, direct and indirect, that prepare a version."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if "serve.engines.preparation.worker" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def entries(prepared: Path) -> list[Path]:
    """The prepared versions. A draft may be left until the next preparation, but is never used."""
    return [path for path in prepared.iterdir() if path.is_dir() and not path.name.startswith(".")]
