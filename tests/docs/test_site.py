"""The site builds without a warning and loads nothing from other sites; its reference pages come from the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from serve.flags import FLAGS
from tests.docs.page import PAGES, ROOT
from tfx_export import errors
from tfx_export.cli import COMMANDS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "-f", "docs/site/mkdocs.yml", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""
    return folder


def page(site: Path, name: str) -> str:
    return (site / name / "index.html").read_text(encoding="utf-8")


def test_every_page_is_in_the_site(site: Path) -> None:
    names = {each.stem for each in PAGES if each.parent == ROOT / "docs"} - {"index"}
    assert names <= {folder.name for folder in site.iterdir()}


def test_every_command_and_subcommand_is_in_the_reference(site: Path) -> None:
    titles = set(re.findall(r'<h[23] id="([^"]+)"', page(site, "commands")))
    assert {f"tfx-export-{name}" for name in COMMANDS} <= titles
    assert "tfx-export-sig-rename-input" in titles


def test_help_texts_are_shown_unchanged(site: Path) -> None:
    text = page(site, "commands")
    assert "<code>saved_model_cli show</code>" in text
    assert "\\_" not in text


def test_every_flag_is_in_the_reference(site: Path) -> None:
    assert set(FLAGS) <= set(re.findall(r"<code>--([a-z_]+)</code>", page(site, "flags")))


def test_every_exit_code_is_explained(site: Path) -> None:
    # tests/test_errors.py compares the tree with the classes.
    meanings = re.findall(r"[├└]── [\w.]+ +\d+  \w(.+)", errors.__doc__ or "")
    text = page(site, "exit-codes")
    assert meanings
    assert [meaning for meaning in meanings if meaning not in text] == []


def test_no_generated_mark_is_left(site: Path) -> None:
    assert not [each for each in site.rglob("index.html") if "<!-- generated" in each.read_text(encoding="utf-8")]


def test_nothing_is_loaded_from_other_sites(site: Path) -> None:
    fetched = re.compile(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="?(?:https?:)?//[^">]+')
    assert {
        found for each in site.rglob("*.html") for found in fetched.findall(each.read_text(encoding="utf-8"))
    } == set()
