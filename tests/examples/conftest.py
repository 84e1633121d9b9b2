"""A copy of the examples, so that their work folders are not in the source tree."""

from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    source = Path(__file__).parents[2] / "examples"
    copytree(source, tmp_path / "examples", ignore=ignore_patterns("work", "__pycache__"))
    return tmp_path / "examples"


@pytest.fixture
def unverified_examples(examples: Path) -> Path:
    """The same, with exports that are not compared with their source: the tests of exports and of the pages do that."""
    walkthrough = examples / "walkthrough.py"
    program = walkthrough.read_text()
    assert program.count('"tfx_export"]') == 1
    walkthrough.write_text(program.replace('"tfx_export"]', '"tests.examples.unverified"]'))
    return examples
