"""How much of a model becomes constants depends on the memory that is free; its outputs are the same either way."""

from pathlib import Path

import pytest

from serve.engines import free_memory


def test_the_limit_of_the_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    used.write_text("1000\n")
    monkeypatch.setattr(free_memory, "_CGROUPS", ((str(limit), str(used)),))
    machine = free_memory.free_bytes()
    limit.write_text("max\n")
    assert free_memory.free_bytes() > 0.5 * machine
    limit.write_text("5000\n")
    assert free_memory.free_bytes() == 4000
