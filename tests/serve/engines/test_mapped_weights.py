"""Large weights are mapped from files of the prepared version."""

import logging
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve.config import Config
from serve.engines import load, preparation, started
from serve.engines.tensorflow_setup import tensorflow_engine
from serve.metrics import model_memory_bytes
from serve.models.model_metrics import load_measured
from tests.support.preparation import MEGABYTE, assert_as_tensorflow


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
