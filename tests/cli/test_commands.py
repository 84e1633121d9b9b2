"""Each command has a module, a help text, and a line in the overview that equals the first line of the help text."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.support.command_line import tfx_export
from tfx_export.cli import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_shows_the_first_line_of_the_help(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_has_a_help_text(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    options = [param for each in commands for param in each.params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_neither_tensorflow_nor_numpy(arguments: list[str]) -> None:
    program = (
        "import sys; from tfx_export.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    assert "Usage:" in done.stdout
    # `serve` starts another program and has its own test.
    assert done.stderr.strip() == ("" if arguments[0] == "serve" else "[]")


def test_an_unknown_command_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tfx_export", "shwo"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "No such command 'shwo'" in done.stderr


@pytest.mark.parametrize(
    ("name", "more"), [("show", []), ("scan", []), ("run", ["--signature_def=vector", "--input_exprs=x=[2.0]"])]
)
def test_a_savedmodel_can_be_given_with_or_without_dir(name: str, more: list[str], served_models: Path) -> None:
    folder = str(served_models / "half_plus_two" / "1")
    assert tfx_export(name, folder, *more).stdout == tfx_export(name, "--dir", folder, *more).stdout
    done = tfx_export(name, *more, code=2)
    assert f"Missing SavedModel. Type: tfx-export {name} --dir models/NAME/VERSION" in done.stderr
