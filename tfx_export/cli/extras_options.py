"""The options of all export commands for verification, warmup requests and the LiteRT model, and their output."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from tfx_export.exporting.job import Extras
from tfx_export.savedmodel.export_record import PRECISIONS, Check, describe

Function = TypeVar("Function", bound=Callable[..., object])

_COLOURS = {"equal": "green", "unproven": "yellow", "random": "yellow", "differs": "bold red"}


def extras_options(function: Function) -> Function:
    """Adds the options. `extras_from` turns their values into Extras."""
    for option in (
        click.option(
            "--accelerate",
            is_flag=False,
            flag_value="float32",
            type=click.Choice(PRECISIONS),
            help="Add a LiteRT model with the same signatures; without a value: float32.",
        ),
        click.option(
            "--warmup-from",
            type=click.Path(path_type=Path),
            help="Add warmup requests from a .npz, .json or .tfrecord file.",
        ),
        click.option(
            "--warmup", type=click.IntRange(1, 1000), metavar="N", help="Generate N warmup requests for each signature."
        ),
        click.option("--probe", type=click.Path(path_type=Path), help="Verify with the inputs in this .npz file."),
        click.option(
            "--verify/--no-verify", default=True, help="Compare the export with its source.  [default: verify]"
        ),
    ):
        function = option(function)
    return function


def extras_from(options: Mapping[str, Any]) -> Extras:
    """Returns the values of the options above as Extras."""
    return Extras(**{field.name: options[field.name] for field in fields(Extras)})


def checks_table(checks: tuple[Check, ...]) -> Table:
    """Returns a table of the checks, with one row per output."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        name = f"{check.signature} / {check.output}"
        table.add_row(f"  {name}", Text(check.verdict, style=_COLOURS[check.verdict]), describe(check))
    return table
