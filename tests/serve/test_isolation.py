"""No version ends the server, and none keeps another one from being served, while it is prepared, loaded or called."""

import contextlib
import http.client
import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support import odd_calls
from tests.support.server import RunningServer, publish, running, starting, wait_until
from tfx_export.client import ServerError

X = {"x": np.array([[1.0]], np.float32)}
# The kernel gives each connection to a worker: with this number, each worker has at least one.
CONNECTIONS = 16
FLAGS = "--import=tests.support.odd_import", "--file_system_poll_wait_seconds=0.1"
SERVERS = pytest.mark.parametrize(
    ("front", "workers"),
    [("python", 1), ("native", 1), ("native", 2)],
    indirect=["front"],
    ids=["python", "native", "two workers"],
)


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder by which a test controls tests/support/odd_import.py in the processes that it starts."""
    folder = tmp_path / "control"
    folder.mkdir()
    monkeypatch.setenv("TFX_EXPORT_TEST_FOLDER", str(folder))
    return folder


@pytest.fixture(scope="module")
def prepared_odd_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared versions of the odd models: the first server makes them, the next ones find them."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The folder of models that a server watches."""
    return tmp_path / "models"


@pytest.fixture
def flags(control: Path, tmp_path: Path) -> tuple[str, ...]:
    return f"--prepared_dir={tmp_path / 'prepared'}", *FLAGS


@pytest.fixture
def prepare_late(
    start_server: Callable[..., RunningServer], served_models: Path, control: Path, flags: tuple[str, ...], models: Path
) -> Callable[..., tuple[RunningServer, psutil.Process]]:
    """`prepare_late(GOOD, LATE, *FLAGS)`: a server of the model `good`, and the waiting child that prepares `late`."""

    def start(good: str, late: str, *more: str) -> tuple[RunningServer, psutil.Process]:
        publish(served_models / good / "1", models / "good")
        server = start_server(str(models), "--watch", *flags, *more)
        (control / "wait").touch()
        publish(served_models / late / "1", models / "late")
        return server, waiting_child(control, server.process)

    return start


@pytest.mark.slow
@SERVERS
def test_a_good_model_answers_while_odd_ones_come_and_go(
    workers: int,
    start_server: Callable[..., RunningServer],
    built: Callable[[str], Path],
    served_models: Path,
    control: Path,
    prepared_odd_models: Path,
    tmp_path: Path,
) -> None:
    odd, models = built("tests.support.odd_models"), tmp_path / "models"
    publish(served_models / "half_plus_two" / "1", models / "good")
    flags = f"--prepared_dir={prepared_odd_models}", f"--workers={workers}", *FLAGS
    server = start_server(str(models), "--watch", *flags)
    process_ids = sorted(process.pid for process in psutil.Process(server.process.pid).children())
    with sending(lambda client=server.client: float(client.predict("good", X)["y"][0, 0])) as answers:  # type: ignore[misc]
        for name in odd_calls.MODELS:
            publish(odd / name / "1", models / name)
        for name in odd_calls.MODELS:
            wait_until(lambda name=name: server.states(name) == {1: "AVAILABLE"})  # type: ignore[misc]
        for _ in range(CONNECTIONS if workers > 1 else 1):
            with server.client as client:
                assert [*filter(None, (call.failure(client) for call in odd_calls.CALLS))] == []
        for name in odd_calls.MODELS:
            shutil.rmtree(models / name)
        for name in odd_calls.MODELS:
            wait_until(lambda name=name: server.states(name) == {1: "END"})  # type: ignore[misc]
        # Versions of the good model whose preparation ends badly
        for version, (end, error) in enumerate(BAD_ENDS.items(), 2):
            (control / end).touch()
            publish(served_models / ("image", "counter")[version - 2] / "1", models / "good", version)
            wait_until(lambda version=version: server.states("good").get(version) == "END")  # type: ignore[misc]
            (control / end).unlink()
            with server.client as client:
                assert client.status("good")[0].error.startswith(error)
        assert server.states("good") == {3: "END", 2: "END", 1: "AVAILABLE"}
    assert set(answers) == {2.5}
    left = sorted(process.pid for process in psutil.Process(server.process.pid).children())
    assert left == process_ids


# How the child ends if `control` has a file of that name, and the error of the version.
BAD_ENDS = {
    "abort": "loading ended by SIGABRT",
    "exit": "--import=tests.support.odd_import: SystemExit: No more coffee",
}


@pytest.mark.slow
@SERVERS
def test_sigterm_during_the_first_preparation_leaves_no_child_and_no_entry(
    front: str, workers: int, served_models: Path, control: Path, flags: tuple[str, ...], tmp_path: Path
) -> None:
    (control / "wait").touch()
    arguments = str(served_models / "half_plus_two"), *flags, f"--front={front}", f"--workers={workers}"
    with starting(tmp_path, *arguments) as (process, _, log):
        waiting_child(control, process)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    wait_until(lambda: not any(child.is_running() for child in children), 10)
    assert process.returncode == 0, log.read_text()
    assert entries(tmp_path / "prepared") == []


@pytest.mark.slow
@SERVERS
def test_a_server_that_serves_stops_in_the_middle_of_a_preparation(
    workers: int, prepare_late: Callable[..., tuple[RunningServer, psutil.Process]], tmp_path: Path
) -> None:
    server, child = prepare_late("plus", "half_plus_two", f"--workers={workers}")
    assert server.stop(seconds=30) == 0
    wait_until(lambda: not child.is_running(), 10)
    assert entries(tmp_path / "prepared") == []


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_no_child(
    front: str, served_models: Path, control: Path, flags: tuple[str, ...], tmp_path: Path
) -> None:
    (control / "wait").touch()
    with starting(tmp_path, str(served_models / "half_plus_two"), *flags, f"--front={front}") as (process, _, _log):
        child = waiting_child(control, process)
        process.kill()
        process.wait(60)
        wait_until(lambda: not child.is_running(), 10)


@pytest.mark.slow
def test_a_server_that_is_killed_while_it_publishes_an_entry_prepares_it_anew(
    front: str, served_models: Path, control: Path, flags: tuple[str, ...], tmp_path: Path
) -> None:
    (control / "publish").touch()
    prepared = tmp_path / "prepared"
    arguments = str(served_models / "half_plus_two"), *flags, f"--front={front}"
    with starting(tmp_path, *arguments) as (process, _, _log):
        wait_until(lambda: (control / "waiting").exists() or process.poll() is not None)
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
        process.kill()
        process.wait(60)
    assert entries(prepared) == []
    (draft,) = drafts(prepared)
    assert (draft / "manifest.json").exists()
    with running(tmp_path, *arguments) as server, server.client as client:
        assert client.predict("half_plus_two", X)["y"].tolist() == [[2.5]]
        assert len(entries(prepared)) == 1
        assert drafts(prepared) == []


@pytest.mark.slow
def test_a_child_that_is_killed_ends_its_version_only(
    prepare_late: Callable[..., tuple[RunningServer, psutil.Process]], tmp_path: Path
) -> None:
    server, child = prepare_late("plus", "half_plus_two")
    child.kill()
    wait_until(lambda: server.states("late") == {1: "END"})
    with server.client as client:
        (version,) = client.status("late")
        assert version.error == "loading ended by SIGKILL"
        assert client.predict("good", {"x": np.array([1.0], np.float32)})["y"].tolist() == [2.0]
    assert entries(tmp_path / "prepared") == []
    assert drafts(tmp_path / "prepared") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("front", "workers"), [("native", 1), ("native", 2)], indirect=["front"], ids=["one worker", "two workers"]
)
def test_a_worker_that_is_killed_while_it_prepares_a_version_is_replaced(
    workers: int, prepare_late: Callable[..., tuple[RunningServer, psutil.Process]], models: Path
) -> None:
    server, child = prepare_late("half_plus_two", "image", f"--workers={workers}")
    worker = child.parent()
    assert worker
    with contextlib.ExitStack() as stack:
        answers = []
        if workers > 1:
            connection = stack.enter_context(contextlib.closing(connection_to_another(worker, server)))
            answers = stack.enter_context(sending(lambda: send_good(connection)))
        worker.kill()
        wait_until(lambda: not child.is_running(), 10)
        wait_until(lambda: "The new worker serves" in server.log.read_text())
        wait_until(lambda: states(server, "late") == {1: "AVAILABLE"})
    assert set(answers) == ({2.5} if workers > 1 else set())
    for _ in range(CONNECTIONS):
        with server.client as client:
            x = np.ones((1, 8, 8, 3), np.float32)
            assert client.predict("late", {"x": x})["y"].max() == pytest.approx(1)
            assert client.predict("good", X)["y"].tolist() == [[2.5]]
    assert len(psutil.Process(server.process.pid).children()) == workers
    assert preparing(server.process.pid) == []
    assert f"The worker ended while it loaded {models / 'late' / '1'}" in server.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("front", ["native"], indirect=True)
@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_version_that_ends_the_worker_twice_is_put_into_quarantine(
    from_the_start: bool,
    start_server: Callable[..., RunningServer],
    served_models: Path,
    control: Path,
    flags: tuple[str, ...],
    tmp_path: Path,
) -> None:
    model = tmp_path / "half"
    publish(served_models / "half_plus_two" / "1", model)
    if from_the_start:
        publish(served_models / "half_plus_two" / "1", model, 2)
    (control / "crash").write_text(str(model / "2"))
    server = start_server(str(model), *flags)
    if not from_the_start:
        assert server.states("half") == {1: "AVAILABLE"}
        publish(served_models / "half_plus_two" / "1", model, 2)
    wait_until(lambda: states(server, "half") == {1: "AVAILABLE", 2: "END"})
    with server.client as client:
        errors = {version.version: version.error for version in client.status("half")}
        assert errors[2] == "In quarantine: the worker ended 2 times while it loaded these files"
        assert client.predict("half", X)["y"].tolist() == [[2.5]]
    assert server.log.read_text().count(f"The worker ended while it loaded {model / '2'}") == 2


@contextlib.contextmanager
def sending(request: Callable[[], float]) -> Iterator[list[float]]:
    """Sends a request again and again in a thread. Yields the list of answers; raises the first error at the end."""
    answers: list[float] = []
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.01):
            answers.append(request())

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        try:
            yield answers
        finally:
            done.set()
        future.result()
    assert answers


def connection_to_another(worker: psutil.Process, server: RunningServer) -> http.client.HTTPConnection:
    """Returns an open connection to a worker other than `worker`."""
    while True:
        connection = http.client.HTTPConnection(server.rest.removeprefix("http://"))
        send_good(connection)
        port = connection.sock.getsockname()[1]
        if all(not each.raddr or each.raddr.port != port for each in worker.net_connections()):
            return connection
        connection.close()


def send_good(connection: http.client.HTTPConnection) -> float:
    connection.request("POST", "/v1/models/good:predict", json.dumps({"instances": [[1.0]]}))
    return float(json.loads(connection.getresponse().read())["predictions"][0][0])


def states(server: RunningServer, model: str) -> dict[int, str]:
    """Returns the states of the versions; an empty dictionary while no worker answers."""
    try:
        return server.states(model)
    except ServerError:
        return {}


def waiting_child(control: Path, process: "subprocess.Popen[bytes]") -> psutil.Process:
    """Waits until the child waits, and returns it."""
    wait_until(lambda: (control / "waiting").exists() or process.poll() is not None)
    (child,) = preparing(process.pid)
    return child


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
    """The prepared versions."""
    return [path for path in prepared.iterdir() if path.is_dir() and not path.name.startswith(".")]


def drafts(prepared: Path) -> list[Path]:
    """The folders that were to become prepared versions."""
    return [path for path in prepared.iterdir() if path.name.startswith(".")]
