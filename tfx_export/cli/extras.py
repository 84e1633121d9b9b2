"""The options that every export command has for what happens around the writing, and what is printed of it."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from tfx_export.exporting.job import Extras
from tfx_export.savedmodel.export_record import PRECISIONS, Check, describe

Function = TypeVar("Function", bound=Callable[..., Any])

_COLOURS = {"equal": "green", "unproven": "yellow", "differs": "bold red"}


def extras_options(function: Function) -> Function:
    """Adds the options; `extras_from` makes Extras of what click passes."""
    for option in (
        click.option(
            "--accelerate",
            is_flag=False,
            flag_value="float32",
            type=click.Choice(PRECISIONS),
            help="Add a LiteRT model with the same signatures; alone it means float32.",
        ),
        click.option(
            "--warmup-from", type=click.Path(path_type=Path), help="Warmup requests: .npz, .json or .tfrecord."
        ),
        click.option(
            "--warmup", type=click.IntRange(1, 1000), metavar="N", help="Generate N warmup requests a signature."
        ),
        click.option("--probe", type=click.Path(path_type=Path), help="Verify on the inputs in this .npz file."),
        click.option("--verify/--no-verify", default=True, help="Compare the export with its source (default)."),
    ):
        function = option(function)
    return function


def extras_from(options: Mapping[str, Any]) -> Extras:
    """The Extras that the values of the options above say."""
    return Extras(**{field.name: options[field.name] for field in fields(Extras)})


def checks_table(checks: tuple[Check, ...]) -> Table:
    """The checks as a table: one row an output."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        name = f"{check.signature} / {check.output}"
        table.add_row(f"  {name}", Text(check.verdict, style=_COLOURS[check.verdict]), describe(check))
    return table
