"""What commands that take their time share: --quiet, --json, -v, and a line that says what is going on."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console

Function = TypeVar("Function", bound=Callable[..., Any])


def feedback_options(function: Function) -> Function:
    """Add `--quiet`, `--json` (as `as_json`) and `-v/--verbose` to a command."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show each step and TensorFlow's own messages."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for machines."),
        click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors."),
    ):
        function = option(function)
    return function


@contextmanager
def steps(*, quiet: bool, verbose: bool) -> Iterator[Callable[[str], None]]:
    """What to call with each step: a spinner on a terminal, a line each with `verbose`, else nothing.

    Keeps TensorFlow and Keras silent unless `verbose`, and turns SIGTERM into an exit that cleans up.
    """
    console = Console(stderr=True)
    with warnings.catch_warnings(), _terminable():
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
        with console.status("Starting") as status:
            yield lambda step: status.update(step)


@contextmanager
def _terminable() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
