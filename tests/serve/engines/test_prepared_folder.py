"""Prepared versions are kept in a folder, found again there, checked, and removed by size and age."""

import json
import logging
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from serve.config import Config
from serve.engines import load
from serve.engines.preparation import cache, child
from serve.loaded_model import Preparation
from serve.models.model_metrics import load_measured


def test_a_prepared_version_needs_no_child(
    served_models: Path, prepared: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load(served_models / "half_plus_two" / "1", prepared).close()
    monkeypatch.setattr(child, "run", None)
    copy = shutil.copytree(served_models / "half_plus_two" / "1", tmp_path / "2")
    model = load(copy, prepared)
    assert model.preparation == Preparation(seconds=None)
    assert model.run("serving_default", {"x": np.array([[1.0]], np.float32)}, ["y"])["y"].tolist() == [[2.5]]
    model.close()
    assert Path(prepared.prepared_dir).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "details", "manifest", "no manifest"])
def test_a_damaged_entry_is_not_used(damage: str, tmp_path: Path) -> None:
    entry = publish(tmp_path, "key", b"12345")
    file = entry.folder / "graph.pb"
    match damage:
        case "cut":
            overwrite(file, b"123")
        case "changed":
            overwrite(file, b"12346")
        case "missing":
            file.unlink()
        case "details":
            overwrite(entry.folder / cache.DETAILS, b"{ }")
        case "manifest":
            overwrite(entry.folder / cache.MANIFEST, b"[]")
        case "no manifest":
            (entry.folder / cache.MANIFEST).unlink()
    assert cache.find(tmp_path, "key") is None
    assert publish(tmp_path, "key", b"12345").folder == entry.folder
    assert cache.find(tmp_path, "key") == entry


def test_a_damaged_entry_is_prepared_anew(served_models: Path, tmp_path: Path) -> None:
    config = Config(prepared_dir=str(tmp_path))
    version = served_models / "half_plus_two" / "1"
    load(version, config).close()
    (graph,) = tmp_path.glob("*/graph.pb")
    before = graph.read_bytes()
    overwrite(graph, before[:-1])
    # As if TensorFlow had been imported all the while: the preparation is part of the load all the same.
    model, report = load_measured(
        lambda path: load(path, config), version, engine_started=lambda: (time.perf_counter(), 0)
    )
    assert report.preparation
    assert report.preparation.seconds
    assert report.load_seconds >= report.preparation.seconds
    model.close()
    (graph,) = tmp_path.glob("*/graph.pb")
    assert graph.stat().st_size == len(before)


@pytest.mark.parametrize(
    ("entries_kept", "days", "left"), [(0, 0, "abc"), (2, 0, "bc"), (1, 0, "c"), (0, 40, "bc")], ids=str
)
def test_old_entries_are_removed_by_size_and_age(entries_kept: int, days: int, left: str, tmp_path: Path) -> None:
    now = time.time()
    for number, key in enumerate("abc"):
        entry = publish(tmp_path, key, bytes(1000))
        used = now - 10 + number - (days * 24 * 3600 if key == "a" else 0)
        os.utime(entry.folder / cache.MANIFEST, (used, used))
    size = sum(file.stat().st_size for file in entry.folder.iterdir())
    cache.evict(tmp_path, entries_kept * size, keep="c")
    assert "".join(sorted(path.name for path in tmp_path.iterdir() if path.is_dir())) == left


def test_a_folder_that_everybody_can_write_is_not_used(
    served_models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o777)
    with caplog.at_level(logging.INFO, "serve"):
        load(served_models / "half_plus_two" / "1", Config(prepared_dir=str(tmp_path))).close()
    assert "is served as it is, which is slower: --prepared_dir cannot be used" in caplog.text
    assert "can be written by every user" in caplog.text


def test_without_a_folder_the_version_is_served_as_it_is(
    served_models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.INFO, "serve"):
        model = load(served_models / "half_plus_two" / "1", Config(prepared_dir=str(tmp_path / "file" / "below")))
    assert "--prepared_dir cannot be used" in caplog.text
    assert model.run("serving_default", {"x": np.array([[1.0]], np.float32)}, ["y"])["y"].tolist() == [[2.5]]
    model.close()


def test_one_preparation_at_a_time(tmp_path: Path) -> None:
    entered = threading.Event()

    def second() -> None:
        with cache.locked(tmp_path, "key", lambda: None):
            entered.set()

    thread = threading.Thread(target=second)
    with cache.locked(tmp_path, "key", lambda: None):
        thread.start()
        assert not entered.wait(0.3)
    assert entered.wait(10)
    thread.join()


def test_the_drafts_of_processes_that_have_ended_are_removed(tmp_path: Path) -> None:
    left, used, other = tmp_path / f".{'a' * 40}.x", tmp_path / f".{'b' * 40}.x", tmp_path / ".git.x"
    for folder in (left, used, other):
        folder.mkdir()
    with cache.locked(tmp_path, "b" * 40, lambda: None):
        cache.remove_abandoned_drafts(tmp_path)
    assert sorted(path for path in tmp_path.iterdir() if path.is_dir()) == sorted([used, other])


def test_an_entry_that_is_being_prepared_anew_is_not_evicted(tmp_path: Path) -> None:
    for key in "abc":
        publish(tmp_path, key, bytes(1000))
    with cache.locked(tmp_path, "a", lambda: None):
        cache.evict(tmp_path, 1, keep="c")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.lock", "c"}


def publish(root: Path, key: str, content: bytes) -> cache.Entry:
    with cache.draft(root, key) as folder:
        (folder / cache.DETAILS).write_text(json.dumps({}))
        (folder / "graph.pb").write_bytes(content)
        return cache.publish(folder, root, key)


def overwrite(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)
