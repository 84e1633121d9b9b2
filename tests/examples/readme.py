"""A README of a walk-through beside what its run.py printed: every command it shows was typed, every output came."""

import re
from pathlib import Path

from tests.docs.page import blocks, shape

# What surrounds the run, and the run itself.
AROUND = ("rm -rf work && mkdir work && cd work", "python run.py", "kill %1")
_PORTS = re.compile(r" --port=\d+ --rest_api_port=\d+")


def assert_typed(readme: Path, output: str) -> None:
    """Fail unless `output` has every command of `readme` as a line after `$`, and every output it shows."""
    lines = output.splitlines()
    typed = {shape(_PORTS.sub("", line)) for line in lines if line.startswith("$ ")}
    printed = "".join(map(shape, lines))
    for block in blocks(readme):
        if block.language == "sh":
            for command in block.text.replace("\\\n", "").splitlines():
                plain = command.removesuffix(" &")
                assert plain.startswith(AROUND) or shape(f"$ {plain}") in typed, f"run.py does not type: {command}"
        expected = block.output or (block.text.splitlines() if block.language == "text" else ())
        for line in expected:
            assert shape(line) in printed, f"run.py does not print: {line}"
