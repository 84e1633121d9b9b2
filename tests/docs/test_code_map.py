"""The names of files, functions and classes in docs/architecture.md exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "architecture.md"
REFERENCE = re.compile(r"`((?:serve|tfx_export|tests|protos|templates|examples)/[\w./]*)(?::([\w.]+))?`")


def references() -> list[tuple[str, str]]:
    return sorted(set(REFERENCE.findall(PAGE.read_text())))


@pytest.mark.parametrize(("path", "name"), references())
def test_a_name_on_the_architecture_page_exists(path: str, name: str) -> None:
    file = ROOT / path
    assert file.exists()
    scope: list[ast.stmt] = ast.parse(file.read_text()).body if name else []
    for part in filter(None, name.split(".")):
        found = [node for node in scope if getattr(node, "name", None) == part]
        assert found, f"{path} does not define {name}"
        scope = getattr(found[0], "body", [])
