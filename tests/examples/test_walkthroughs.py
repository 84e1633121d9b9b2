"""Each walk-through runs by one command, here at a small size."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

PERCENT = r"(\d+\.\d+)%"

WALKS = [
    ("mnist", ["--images", "200"], [rf"Inference error rate: {PERCENT}\n", rf"error rate of Classify: {PERCENT}\n"]),
    ("deeplab", ["--steps", "30"], [r"8 images: one by one [\d.]+ s, in flight together [\d.]+ s", r"mask.png"]),
    ("wide_deep", [], [r"gRPC Classify .*engineer.*: buys", r"REST :classify \[\[\[", r"gRPC Regress   \[-?\d"]),
    ("text", [], [r"lovely.*\n  REST: glad .*\n  gRPC: glad", r"dull.*\n  REST: sad .*\n  gRPC: sad"]),
    ("simpsons", ["--epochs", "3"], [r"REST: (\d+) of 64 right", r"gRPC: (\d+) of 64 right"]),
    ("resnet", ["--requests", "3"], [r"REST: classes \[\d+, \d+\], average latency", r"gRPC: classes \[\d+, \d+\]"]),
]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "arguments", "says"), WALKS, ids=[name for name, _, _ in WALKS])
def test_walkthrough_runs(examples: Path, name: str, arguments: Sequence[str], says: Sequence[str]) -> None:
    done = subprocess.run(
        [sys.executable, examples / name / "run.py", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for pattern in says:
        assert re.search(pattern, done.stdout), done.stdout
    assert "the server exited with 0" in done.stdout


def test_every_example_is_tested_and_described() -> None:
    folder = Path(__file__).parents[2] / "examples"
    found = {path.parent.name for path in folder.glob("*/run.py")}
    assert found == {name for name, _, _ in WALKS} | {"digits"}
    index = (folder / "README.md").read_text()
    for name in found:
        assert (folder / name / "README.md").is_file()
        assert f"({name})" in index
