"""A model is frozen if enough memory is free; its outputs are the same either way."""

import logging
from pathlib import Path

import numpy as np
import pytest

from serve.config import Config
from serve.engines import free_memory, tensorflow, tensorflow_graph

X = {"x": np.array([[1.0], [4.0]], np.float32)}


@pytest.mark.parametrize(("free", "frozen"), [(1 << 40, True), (1, False)])
def test_a_model_is_frozen_if_enough_memory_is_free(
    free: int, frozen: bool, served_models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tensorflow_graph, "free_bytes", lambda: free)
    with caplog.at_level(logging.INFO, "serve"):
        model = tensorflow.load(served_models / "half_plus_two" / "1", Config())
    assert ("not frozen" in caplog.text) != frozen
    assert model.run("serving_default", X, ["y"])["y"].tolist() == [[2.5], [4.0]]
    model.close()


def test_the_limit_of_the_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    used.write_text("1000\n")
    monkeypatch.setattr(free_memory, "_CGROUPS", ((str(limit), str(used)),))
    machine = free_memory.free_bytes()
    limit.write_text("max\n")
    assert free_memory.free_bytes() > 0.5 * machine
    limit.write_text("5000\n")
    assert free_memory.free_bytes() == 4000
