"""An exception anywhere in loading ends in a state, never in a wait without end; other models are answered.

The faults are put into the steps of loading: no model can be built that causes each of them.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve import core, engines, warmup
from serve.core import Core
from serve.engines.preparation import child
from serve.flags import parse
from serve.lifecycle import manager
from serve.lifecycle.manager import Manager
from tests.support.in_memory import InMemoryServer, in_memory
from tests.support.server import publish, wait_until

X = {"x": np.array([1.0], np.float32)}
Publish = Callable[[str], None]


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("This error has no text")


ERRORS: tuple[tuple[BaseException, str], ...] = (
    (MemoryError("no room"), "MemoryError: no room"),
    (SystemExit(3), "SystemExit: 3"),
    (KeyError("odd"), "KeyError: 'odd'"),
    (RecursionError("too deep"), "RecursionError: too deep"),
    (UnprintableError(), "UnprintableError"),
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def add(served_models: Path, models: Path) -> Publish:
    """`add(NAME)` adds a model to the watched folder."""
    return lambda name: publish(served_models / "plus" / "1", models / name)


@pytest.fixture
def server(models: Path, add: Publish) -> Iterator[InMemoryServer]:
    """A server that watches `models`, with one model, `good`."""
    add("good")
    with in_memory(f"--model_base_path={models}", "--watch", "--file_system_poll_wait_seconds=0.05") as server:
        wait_until(lambda: server.states("good") == {1: "AVAILABLE"})
        yield server


def flags_of_good(models: Path) -> tuple[str, str]:
    """The flags of a server of the model `good` alone."""
    return "--model_name=good", f"--model_base_path={models / 'good'}"


def answer(server: InMemoryServer, model: str = "good") -> list[float]:
    with server.client as client:
        values: list[float] = client.predict(model, X)["y"].tolist()
        return values


def error_at_end(server: InMemoryServer, model: str) -> str:
    """Waits until version 1 has ended, and returns its error."""
    wait_until(lambda: server.states(model) == {1: "END"})
    with server.client as client:
        (version,) = client.status(model)
        return version.error


@pytest.mark.parametrize(
    ("module", "step"),
    [(core, "reject_file_ops"), (engines, "assign"), (warmup, "replay")],
    ids=["scan", "choice of the engine", "warmup"],
)
def test_any_exception_in_a_step_of_loading_ends_the_version_with_a_reason(
    module: Any, step: str, server: InMemoryServer, add: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = getattr(module, step)

    def faulty(*arguments: Any, **options: Any) -> Any:
        for number, (error, _) in enumerate(ERRORS):
            if f"odd{number}/" in str(arguments):
                raise error
        return function(*arguments, **options)

    monkeypatch.setattr(module, step, faulty)
    for number, (_, text) in enumerate(ERRORS):
        add(f"odd{number}")
        assert error_at_end(server, f"odd{number}") == text
        assert answer(server) == [2.0]


def test_a_child_that_hangs_ends_its_version_and_the_predecessor_goes_on_serving(
    served_models: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "MODULE", "tests.support.odd_child")
    # The model has the name that tells the child to hang. Its first version needs no child: LiteRT runs it.
    model = models / "loading wait"
    publish(served_models / "plus" / "1", model)
    with in_memory(
        "--model_name=loading wait",
        f"--model_base_path={model}",
        f"--prepared_dir={tmp_path / 'prepared'}",
        "--max_prepare_seconds=1",
        "--file_system_poll_wait_seconds=0.05",
    ) as server:
        assert answer(server, "loading wait") == [2.0]
        publish(served_models / "half_plus_two" / "1", model, 2)
        wait_until(lambda: server.states("loading wait") == {1: "AVAILABLE", 2: "END"})
        with server.client as client:
            assert client.status("loading wait")[0].error == "loading took more than 1 seconds (--max_prepare_seconds)"
        assert answer(server, "loading wait") == [2.0]


def test_an_observer_that_fails_keeps_no_version_from_its_state(
    models: Path, add: Publish, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(core, "record_state", fail)
    add("good")
    with in_memory(*flags_of_good(models), "--file_system_poll_wait_seconds=0.05") as server:
        assert answer(server) == [2.0]
        (models / "good" / "1").rename(models / "good" / "2")
        wait_until(lambda: server.states("good") == {1: "END", 2: "AVAILABLE"})
        assert answer(server) == [2.0]
    assert "Recording a state of good version 2 failed" in caplog.text


def test_a_model_that_cannot_be_unloaded_ends_and_so_does_the_server(
    server: InMemoryServer, models: Path, add: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serve.engines.litert import LiteRtModel

    def fail(_: Any) -> None:
        raise SystemExit(3)

    monkeypatch.setattr(LiteRtModel, "close", fail)
    add("odd")
    wait_until(lambda: server.states("odd") == {1: "AVAILABLE"})
    (models / "odd").rename(models / ".odd")
    assert error_at_end(server, "odd") == "Unloading failed: 3"
    assert answer(server) == [2.0]


def test_an_unexpected_error_of_the_manager_does_not_end_its_thread(
    server: InMemoryServer, add: Publish, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(manager, "SECONDS_AFTER_ERROR", 0.05)
    failed = threading.Event()
    reconcile = Manager._reconcile

    def fail_once(self: Manager, name: str, now: float) -> None:
        if name == "late" and not failed.is_set():
            failed.set()
            raise MemoryError
        reconcile(self, name, now)

    monkeypatch.setattr(Manager, "_reconcile", fail_once)
    add("late")
    wait_until(lambda: server.states("late") == {1: "AVAILABLE"})
    assert failed.is_set()
    assert "The manager's thread failed unexpectedly, and continues" in caplog.text


def test_a_load_that_gets_no_thread_is_tried_again(models: Path, add: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    submit, attempts = ThreadPoolExecutor.submit, []

    def no_thread(self: ThreadPoolExecutor, function: Any, *arguments: Any, **options: Any) -> Any:
        if getattr(function, "__name__", "") == "_load_version":
            attempts.append(function)
            if len(attempts) < 3:
                raise RuntimeError("can't start new thread")
        return submit(self, function, *arguments, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", no_thread)
    add("good")
    with in_memory(*flags_of_good(models), "--load_retry_interval_micros=1000") as server:
        assert answer(server) == [2.0]
    assert len(attempts) == 3


def test_an_example_that_cannot_be_made_does_not_keep_the_server_from_its_start(
    models: Path, add: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "request_example", lambda *_: 1 / 0)
    add("good")
    served = Core(parse([*flags_of_good(models)])[0])
    served.start()
    (version,) = served.served_versions()
    served.stop()
    assert (version.name, version.version, version.example) == ("good", 1, "")


def test_folders_that_cannot_be_listed_keep_no_other_model_from_being_served(
    server: InMemoryServer, models: Path, add: Publish
) -> None:
    loop = models / "loop"
    loop.symlink_to(loop)
    (models / "version").mkdir()
    (models / "version" / "1").symlink_to(models / "version" / "1")
    add("late")
    wait_until(lambda: server.states("late") == {1: "AVAILABLE"})
    assert answer(server, "late") == [2.0]


def test_a_base_path_that_the_system_refuses_leaves_the_other_models_alone(
    models: Path, add: Publish, tmp_path: Path
) -> None:
    add("good")
    add("late")
    configured = "model_config_list { %s }"
    entry = 'config { name: "%s" base_path: "%s" model_platform: "tensorflow" } '
    file = tmp_path / "models.config"
    file.write_text(configured % (entry % ("odd", f"/{'x' * 300}") + entry % ("good", models / "good")))
    flags = f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1"
    with in_memory(*flags, "--file_system_poll_wait_seconds=0.05") as server:
        assert answer(server) == [2.0]
        file.write_text(configured % (entry % ("late", models / "late")))
        wait_until(lambda: server.states("late") == {1: "AVAILABLE"})


def test_the_start_with_a_link_that_leads_to_itself(models: Path, add: Publish) -> None:
    add("good")
    (models / "loop").symlink_to(models / "loop")
    with in_memory(f"--model_base_path={models}") as server:
        assert answer(server) == [2.0]
