"""A version is prepared in a child process. The server goes on, however the child ends."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.config import Config
from serve.engines import load, preparation
from serve.engines.preparation import child
from serve.errors import Code, ServeError
from tests.support.preparation import MEGABYTE, children


@pytest.mark.parametrize(
    ("does", "settings", "error", "text"),
    [
        ("loading abort", {}, ServeError, "loading ended by SIGABRT: Check failed: 1 == 2 (1 vs. 2)"),
        ("loading kill", {}, ServeError, "loading ended by SIGKILL"),
        ("loading exit", {}, ServeError, "loading ended with exit code 1: No more coffee"),
        ("loading refuse", {}, ServeError, "There is no such thing"),
        ("loading wait", {"max_prepare_seconds": 0.5}, ServeError, "loading took more than 0.5 seconds"),
        ("loading grow", {"max_prepare_bytes": 64 * MEGABYTE}, ServeError, "more than 64 MB"),
        ("starting kill", {}, child.PreparationError, "starting ended by SIGKILL"),
        ("preparing abort", {}, child.PreparationError, "preparing ended by SIGABRT: Check failed: 1 == 2"),
        ("preparing fail", {}, child.PreparationError, "preparing failed: ValueError: odd"),
        ("preparing wait", {"max_prepare_seconds": 0.5}, child.PreparationError, "preparing took more than 0.5"),
        ("preparing grow", {"max_prepare_bytes": 64 * MEGABYTE}, child.PreparationError, "more than 64 MB"),
        ("trying abort", {}, child.PreparationError, "trying ended by SIGABRT: Check failed: 1 == 2"),
        ("preparing silently", {}, child.PreparationError, "preparing ended with exit code 0"),
    ],
)
def test_the_end_of_the_child_is_explained(
    does: str, settings: Any, error: type[Exception], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "MODULE", "tests.support.odd_child")
    with pytest.raises(error) as raised:
        child.run(tmp_path, Config(model_name=does, **settings), tmp_path, threading.Event())
    assert text in str(raised.value)
    assert not children()


@pytest.mark.parametrize(
    ("does", "settings", "remembered"),
    [
        ("preparing abort", {}, True),
        ("preparing fail", {}, True),
        ("preparing kill", {}, False),
        ("preparing wait", {"max_prepare_seconds": 0.5}, False),
        ("starting abort", {}, False),
        ("loading abort", {}, False),
    ],
)
def test_a_failure_that_repeats_is_remembered(
    does: str,
    settings: Any,
    remembered: bool,
    served_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(child, "MODULE", "tests.support.odd_child")
    config = Config(model_name=does, prepared_dir=str(tmp_path), **settings)
    version = served_models / "half_plus_two" / "1"
    with contextlib.suppress(ServeError):
        first = preparation.prepare(version, config, threading.Event())
    monkeypatch.setattr(child, "MODULE", "no_such_module")
    second = preparation.prepare(version, config, threading.Event())
    assert second.entry is None
    if remembered:
        assert second.reason == first.reason
    else:
        assert "No module named no_such_module" in second.reason


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_only_the_thread_that_prepares_and_its_child_give_way_to_requests() -> None:
    before = os.nice(0)
    with ThreadPoolExecutor(1, initializer=preparation.lower_priority) as pool:
        inherited = pool.submit(subprocess.check_output, ["nice"], text=True).result()
    assert int(inherited) == min(19, before + preparation.NICENESS)
    assert os.nice(0) == before


def test_a_server_that_stops_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MODULE", "tests.support.odd_child")
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    started = time.monotonic()
    with pytest.raises(ServeError) as raised:
        child.run(tmp_path, Config(model_name="preparing wait"), tmp_path, stopping)
    assert raised.value.code is Code.CANCELLED
    assert time.monotonic() - started < 30
    assert not children()


def test_a_version_that_cannot_be_prepared_is_served_as_it_is(
    served_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(child, "MODULE", "tests.support.odd_child")
    config = Config(model_name="preparing abort", prepared_dir=str(tmp_path))
    with caplog.at_level(logging.INFO, "serve"):
        model = load(served_models / "image" / "1", config)
    assert "is served as it is, which is slower: preparing ended by SIGABRT: Check failed" in caplog.text
    assert model.preparation
    assert model.preparation.reason.startswith("preparing ended by SIGABRT: Check failed")
    x = np.ones((1, 8, 8, 3), np.float32)
    output = next(iter(model.signatures["serving_default"].outputs))
    assert model.run("serving_default", {"x": x}, [output])[output].shape == (1, 8, 8, 4)
    # Functions are not inlined in this graph. A wrong rank must not end the process all the same.
    with pytest.raises(ServeError, match=r"(?i)rank|shape"):
        model.run("serving_default", {"x": x[0]}, [output])
    model.close()
    assert not [*tmp_path.glob(".*")]


def test_a_version_that_ends_the_child_in_both_ways_is_not_loaded_into_the_server(
    served_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "MODULE", "tests.support.odd_child")
    config = Config(model_name="preparing abort always", prepared_dir=str(tmp_path))
    with pytest.raises(ServeError, match="trying ended by SIGABRT: Check failed: 1 == 2"):
        load(served_models / "image" / "1", config)


@pytest.mark.parametrize("end", ["kill", "silently", "wait"])
def test_only_a_crash_counts_when_signatures_are_tried(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "MODULE", "tests.support.odd_child")
    config = Config(model_name=f"trying {end}", max_prepare_seconds=0.5 if end == "wait" else 60.0)
    child.run(tmp_path, config, tmp_path, threading.Event())
