"""A version is prepared in a child process, once, and kept; whatever becomes of the child, the server goes on."""

import contextlib
import errno
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from serve.config import Config
from serve.engines import load, preparation, started
from serve.engines.preparation import cache, child
from serve.engines.tensorflow_setup import tensorflow_engine
from serve.errors import Code, ServeError
from serve.loaded_model import Preparation
from serve.metrics import model_memory_bytes
from serve.models.model_metrics import load_measured

A = {"a": np.array([1.0, 2.0], np.float32)}
MEGABYTE = 1 << 20
# How often the child is killed, and the seed of the moments.
KILLS = int(os.environ.get("TFX_EXPORT_KILLS", "2"))
SEED = int(os.environ.get("TFX_EXPORT_SEED", "15"))
# About as long as a child lives on a quiet machine.
CHILD_SECONDS = 5.0


@pytest.fixture(scope="module")
def odd_models(built: Callable[[str], Path]) -> Path:
    """The folder that tests/support/odd_models.py fills."""
    return built("tests.support.odd_models")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Settings with a folder for prepared versions that these tests share."""
    return Config(prepared_dir=str(tmp_path_factory.mktemp("prepared")))


# The child


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


def children() -> list[psutil.Process]:
    """The children of this process that prepare versions."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.MODULE in process.cmdline():
                found.append(process)
    return found


# The folder


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


# Mapped weights


@pytest.mark.parametrize("name", ["dense", "dense_tf1"])
def test_large_weights_are_mapped_and_the_answers_are_the_same(name: str, odd_models: Path, prepared: Config) -> None:
    version = odd_models / name / "1"
    outcome = preparation.prepare(version, prepared, threading.Event())
    assert outcome.entry
    files = [*outcome.entry.folder.glob("*.weights")]
    assert sum(file.stat().st_size for file in files) > 60 * MEGABYTE
    assert (outcome.entry.folder / "graph.pb").stat().st_size < MEGABYTE
    model = load(version, prepared)
    assert {str(file) for file in files} <= mapped_files()
    assert_as_tensorflow(model, version)
    model.close()
    assert not {str(file) for file in files} & mapped_files()


def test_the_metrics_say_what_a_model_weighs(odd_models: Path, prepared: Config) -> None:
    version = odd_models / "dense" / "1"
    outcome = preparation.prepare(version, prepared, threading.Event())
    assert outcome.entry
    model, report = load_measured(lambda path: load(path, prepared), version, started)
    weights = sum(file.stat().st_size for file in outcome.entry.folder.glob("*.weights"))
    assert report.memory.mapped == weights
    assert report.memory.private < 32 * MEGABYTE
    assert model_memory_bytes.readings()[(str(version),)] == report.memory
    model.close()


def test_what_depends_on_weights_alone_is_computed_once(odd_models: Path, prepared: Config) -> None:
    outcome = preparation.prepare(odd_models / "dense" / "1", prepared, threading.Event())
    assert outcome.entry
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef.FromString((outcome.entry.folder / "graph.pb").read_bytes())
    assert {node.op for node in graph.node} & {"Cast", "Transpose"} == set()


def test_a_small_model_keeps_its_weights_as_constants(served_models: Path, prepared: Config) -> None:
    outcome = preparation.prepare(served_models / "image" / "1", prepared, threading.Event())
    assert outcome.entry
    assert not [*outcome.entry.folder.glob("*.weights")]


def mapped_files() -> set[str]:
    return {line.split(maxsplit=5)[-1].strip() for line in Path("/proc/self/maps").read_text().splitlines()}


def assert_as_tensorflow(model: Any, version: Path) -> None:
    """Compares the answers of all dense signatures with those of TensorFlow."""
    import tensorflow as tf

    plain = tf.saved_model.load(str(version))
    for name, signature in model.signatures.items():
        if name not in ("serving_default", "half"):
            continue
        inputs = {
            alias: np.random.default_rng(1).random([size or 3 for size in spec.shape]).astype(np.float32)
            for alias, spec in signature.inputs.items()
        }
        expected = plain.signatures[name](**{alias: tf.constant(value) for alias, value in inputs.items()})
        answer = model.run(name, inputs, [*signature.outputs])
        for alias, value in expected.items():
            np.testing.assert_allclose(answer[alias], value.numpy(), rtol=1e-4, atol=1e-5)


# Valid models that the optimiser cannot take, or that it optimises for other requests than come


@pytest.mark.parametrize(
    ("name", "signature", "inputs", "outputs", "expected"),
    [
        ("misdeclared", "dtypes", {"x": [[2]]}, ["z"], [[6]]),
        ("misdeclared", "names", {"x": [[2]]}, ["top"], [[0]]),
        ("misdeclared", "twice", {"a": [[2]], "b": [[2]]}, ["z"], [[3]]),
        ("misdeclared", "passed", {"x": [[2]], "y": 1}, ["x"], [[2]]),
        ("shared_input", "mean", {"x": [[[[[1, 2], [3, 4]]]]]}, ["y"], 2.5),
        ("shared_input", "mean", {"x": 2}, ["y"], 2),
        ("shared_input", "convolve", {"x": [[[[2]]]]}, ["y"], [[[[2]]]]),
        ("no_value", "serving_default", {"a": [1]}, ["b"], [2]),
        ("dense_tf1", "tapped", {"w": [[1, 2]]}, ["y"], [[2, 3]]),
        ("vocabulary", "serving_default", {"words": ["b", "c"]}, ["numbers"], [1, 2]),
    ],
)
def test_a_request_that_a_session_answers_is_answered(
    name: str, signature: str, inputs: Any, outputs: list[str], expected: Any, odd_models: Path, prepared: Config
) -> None:
    model = load(odd_models / name / "1", prepared)
    assert model.preparation
    assert model.preparation.reason == ""
    arrays = {alias: np.array(value) for alias, value in inputs.items()}
    arrays = {
        alias: array.astype(np.object_ if array.dtype.kind == "U" else np.float32) for alias, array in arrays.items()
    }
    answer = model.run(signature, arrays, outputs)
    assert np.asarray(answer[outputs[0]]).tolist() == expected
    model.close()


@pytest.mark.parametrize("name", ["sparse_input", "huge_shape", "ragged_output", "sparse_output", "wrong_names"])
def test_an_odd_signature_does_not_keep_the_plain_one_from_being_served(
    name: str, odd_models: Path, prepared: Config
) -> None:
    model = load(odd_models / name / "1", prepared)
    assert model.run("serving_default", A, ["b"])["b"].tolist() == [2.0, 4.0]
    model.close()


@pytest.mark.parametrize(
    ("name", "signature", "inputs", "text"),
    [
        ("sparse_input", "sparse", {"x": np.ones(1, np.float32)}, "The input x of signature sparse is a sparse tensor"),
        ("sparse_output", "odd", {"x": np.ones((1, 5), np.float32)}, "The output s of signature odd is a"),
        (
            "ragged_output",
            "odd",
            {"flat": np.ones(1, np.float32), "splits": np.array([0, 1], np.int64)},
            "The output r of signature odd is a composite tensor",
        ),
        ("wrong_names", "odd", A, "there_is_no_such_tensor"),
        ("no_value", "odd", {}, "uninitialized"),
        (
            "misdeclared",
            "twice",
            {"a": np.zeros((1, 1), np.float32), "b": np.ones((1, 1), np.float32)},
            "more than once",
        ),
    ],
)
def test_only_the_odd_signature_is_refused(
    name: str, signature: str, inputs: Any, text: str, odd_models: Path, prepared: Config
) -> None:
    model = load(odd_models / name / "1", prepared)
    with pytest.raises(ServeError, match=text):
        model.run(signature, inputs, [*model.signatures[signature].outputs])
    model.close()


def test_no_signatures(odd_models: Path, prepared: Config) -> None:
    model = load(odd_models / "no_signatures" / "1", prepared)
    assert model.signatures == {}
    model.close()


def test_an_output_that_is_the_input(odd_models: Path, prepared: Config) -> None:
    model = load(odd_models / "echo" / "1", prepared)
    assert model.run("serving_default", {"x": A["a"]}, ["y"])["y"].tolist() == [1.0, 2.0]
    model.close()


def test_a_large_declared_shape_takes_no_memory(odd_models: Path, prepared: Config) -> None:
    config = Config(prepared_dir=prepared.prepared_dir, max_prepare_bytes=1024 * MEGABYTE)
    model = load(odd_models / "large_volume" / "1", config)
    assert preparation.prepare(odd_models / "large_volume" / "1", config, threading.Event()).entry
    x = np.full((2, 1, 1, 1, 1), 3, np.float32)
    assert model.run("serving_default", {"x": x}, ["y"])["y"].tolist() == [3.0, 3.0]
    model.close()


# Ranks


def test_only_what_the_outputs_need_is_asked_about_ranks(odd_models: Path, prepared: Config) -> None:
    model = load(odd_models / "two_ranks" / "1", prepared)
    x = {"x": np.array([1.0, 2.0], np.float32)}
    assert model.run("serving_default", x, ["y"])["y"].tolist() == [3.0, 4.0]
    with pytest.raises(ServeError, match="rank"):
        model.run("z", x, ["z"])
    model.close()


def test_nothing_before_a_fed_tensor_is_asked_about_ranks(odd_models: Path, prepared: Config) -> None:
    model = load(odd_models / "tapped" / "1", prepared)
    one = np.array([2], np.int32)
    inputs = {"images": np.ones((1, 2, 3, 3), np.float32), "height": one, "width": one}
    assert model.run("predict_images", inputs, ["map"])["map"].ravel().tolist() == [6.0] * 6
    model.close()


# Kills and full disks


@pytest.mark.slow
@pytest.mark.timeout(180 + 30 * KILLS)
def test_a_child_that_is_killed_at_any_moment_leaves_no_half_an_entry(odd_models: Path, tmp_path: Path) -> None:
    chance, version, root = random.Random(SEED), odd_models / "dense" / "1", tmp_path / "prepared"
    config = Config(prepared_dir=str(root))
    for number in range(KILLS):
        shutil.rmtree(root, ignore_errors=True)
        # Every second kill hits the child while it writes files, the others any moment of its life.
        files = chance.randrange(1, 8) if number % 2 else 0
        moment = chance.uniform(0, CHILD_SECONDS)
        print(f"seed {SEED}, kill {number}: {f'{files} files' if files else f'{moment:.2f} s'}")  # noqa: T201
        killer = threading.Thread(target=kill_child, args=(root, files, moment))
        killer.start()
        entry, error = None, ""
        try:
            outcome = preparation.prepare(version, config, threading.Event())
            entry, error = outcome.entry, outcome.reason
        except ServeError as failure:
            error = failure.message
        killer.join()
        assert entry or error.endswith("ended by SIGKILL")
        assert (cache.find(root, cache.key_of(version, config)) is None) == (entry is None)
        assert [path for path in root.iterdir() if path.is_dir()] == ([entry.folder] if entry else [])
        assert not children()
    model = load(version, config)
    assert cache.find(root, cache.key_of(version, config))
    assert_as_tensorflow(model, version)
    model.close()


def kill_child(root: Path, files: int, moment: float) -> None:
    """Kills the child once its draft has `files` files, or if that is 0, when it has lived for `moment` seconds."""
    deadline = time.monotonic() + 60
    while not (found := children()) and time.monotonic() < deadline:
        time.sleep(0.005)
    until = time.monotonic() + (60 if files else moment)
    while time.monotonic() < until and found and found[0].is_running():
        if files and len([*root.glob(".*/*.weights")]) >= files:
            break
        time.sleep(0.001)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`mounted(OPTIONS)`: a folder that is a file system in memory of its own."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    done = []

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"this user cannot mount: {error}")
        done.append(folder)
        return folder

    yield mount
    for each in done:
        subprocess.run(["umount", str(each)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts file systems as Linux does")
@pytest.mark.parametrize(
    ("model", "options", "text"),
    [
        ("dense", "size=8m", "preparing failed: OSError: [Errno 28] No space left on device"),
        ("echo", "size=4k", "preparing failed: OSError: [Errno 28] No space left on device"),
        ("echo", "size=12k", "--prepared_dir cannot be used: [Errno 28] No space left on device"),
        ("echo", "nr_inodes=1", "--prepared_dir cannot be used: [Errno 28] No space left on device"),
        ("echo", "ro", "--prepared_dir cannot be used"),
    ],
    ids=["weights", "graph", "manifest", "lock", "read only"],
)
def test_a_full_disk_leaves_no_half_an_entry(
    model: str, options: str, text: str, odd_models: Path, mounted: Callable[[str], Path]
) -> None:
    root = mounted(options)
    config = Config(prepared_dir=str(root))
    outcome = preparation.prepare(odd_models / model / "1", config, threading.Event())
    assert outcome.entry is None
    assert text in outcome.reason
    assert not [path for path in root.iterdir() if path.suffix != ".lock"]


def test_a_file_system_without_locks_is_not_used(
    odd_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    outcome = preparation.prepare(odd_models / "echo" / "1", Config(prepared_dir=str(tmp_path)), threading.Event())
    assert outcome.entry is None
    assert outcome.reason == f"--prepared_dir cannot be used: [Errno {errno.ENOLCK}] No locks available"


def test_a_version_whose_weights_cannot_be_mapped_is_served_as_it_is(
    odd_models: Path, prepared: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = odd_models / "dense" / "1"
    entry = preparation.prepare(version, prepared, threading.Event()).entry
    assert entry
    folder = shutil.copytree(entry.folder, tmp_path / "entry")
    weights = next(folder.glob("*.weights"))
    weights.unlink()
    weights.mkdir()  # mmap fails on a folder
    with caplog.at_level(logging.INFO, "serve"):
        unmapped = replace(entry, folder=folder)
        model = tensorflow_engine().load(version, prepared, preparation.Outcome(unmapped))
    assert "is served as it is, which is slower: its prepared version cannot be used" in caplog.text
    zeros = {"x": np.zeros((1, 784), np.float32)}
    assert not model.run("serving_default", zeros, ["y"])["y"].any()
    model.close()
