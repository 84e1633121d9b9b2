"""Output of the commands: the options --quiet, --json and --verbose, the progress bar, and error messages."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click
from rich.console import Console
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from tfx_export.errors import TfxExportError
from tfx_export.exporting.user_code import signals_as_exceptions

Function = TypeVar("Function", bound=Callable[..., object])


def feedback_options(function: Function) -> Function:
    """Adds `--quiet`, `--json` (as `as_json`) and `-v/--verbose` to a command."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show each step and TensorFlow's messages."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="Print only errors."),
    ):
        function = option(function)
    return function


@contextmanager
def steps(*, quiet: bool, verbose: bool, total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Yields a function to call with each of `total` steps.

    It shows a progress bar on a terminal (without `total` only the time), prints lines with `verbose`, and otherwise
    does nothing. Suppresses the messages of TensorFlow and Keras unless `verbose`, and turns Ctrl-C and SIGTERM into
    exits that clean up.
    """
    console = Console(stderr=True)
    with warnings.catch_warnings(), signals_as_exceptions():
        if verbose:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
            yield lambda step: console.print(f"{step} ...", highlight=False)
            return
        warnings.simplefilter("ignore")
        for name in ("absl", "tensorflow"):
            logging.getLogger(name).setLevel(logging.ERROR)
        if quiet or not console.is_terminal:
            yield lambda step: None
            return
        with Progress(*_columns(total), console=console, transient=True) as progress:
            task = progress.add_task("", total=total, completed=-1, visible=False)
            yield lambda step: progress.update(task, description=step, advance=1, visible=True, refresh=True)


def print_error(error: TfxExportError) -> None:
    """Prints `error` on stderr: in a box on a terminal, else as plain lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"Error: {error}", markup=False, highlight=False, soft_wrap=True)
        return
    body = Text(error.message)
    if error.hint:
        body.append(f"\n\n{error.hint}", style="dim")
    console.print(Panel(body, title="Error", title_align="left", border_style="red"))


def _columns(total: int | None) -> list[ProgressColumn]:
    counted = [BarColumn(20), MofNCompleteColumn()] if total else []
    return [SpinnerColumn(), *counted, TextColumn("{task.description}"), TimeElapsedColumn()]
