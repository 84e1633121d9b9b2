"""Compares the README of an example with the output of its run.py."""

import re
from pathlib import Path

from tests.docs.page import blocks, shape

# Commands of a README that run.py does not print: the run itself, and those before and after it.
NOT_PRINTED = ("rm -rf work && mkdir work && cd work", "python run.py", "kill %1")
_PORTS = re.compile(r" --port=\d+ --rest_api_port=\d+")


def assert_shows(readme: Path, output: str) -> None:
    """Raises AssertionError unless `output` has each command of `readme` as a line after `$`, and each output line."""
    lines = output.splitlines()
    commands = {shape(_PORTS.sub("", line)) for line in lines if line.startswith("$ ")}
    printed = "".join(map(shape, lines))
    for block in blocks(readme):
        if block.language == "sh":
            for command in block.text.replace("\\\n", "").splitlines():
                plain = command.removesuffix(" &")
                assert plain.startswith(NOT_PRINTED) or shape(f"$ {plain}") in commands, (
                    f"run.py does not run: {command}"
                )
        expected = block.output or (block.text.splitlines() if block.language == "text" else ())
        for line in expected:
            assert shape(line) in printed, f"run.py does not print: {line}"
