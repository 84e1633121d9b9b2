"""The options that commands have which load a Keras file: what the file does not say by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tfx_export.cli.export_options import parse_assignments
from tfx_export.exporting.sources.keras_options import KerasOptions

Function = TypeVar("Function", bound=Callable[..., Any])


def keras_options(function: Function) -> Function:
    """Adds `--architecture`, `--custom-objects`, `--replace-layer` and `--trust-lambda`."""
    for option in (
        click.option("--trust-lambda", is_flag=True, help="Run Python code that the file holds in Lambda layers."),
        click.option(
            "--replace-layer",
            multiple=True,
            metavar="NAME=MODULE:CLASS",
            help="Put a layer class or a function of yours in a layer's place (repeatable).",
        ),
        click.option(
            "--custom-objects",
            multiple=True,
            metavar="MODULE:ATTR",
            help="A class, function or dict of them that the file refers to (repeatable).",
        ),
        click.option(
            "--architecture",
            type=click.Path(path_type=Path),
            metavar="MODEL.JSON",
            help="The model's JSON, where MODEL holds only weights.",
        ),
    ):
        function = option(function)
    return function


def options_from(options: dict[str, Any]) -> KerasOptions:
    """The KerasOptions that the values of the options above say; they are taken out of `options`."""
    return KerasOptions(
        architecture=options.pop("architecture"),
        custom_objects=options.pop("custom_objects"),
        replace_layers=parse_assignments("--replace-layer", options.pop("replace_layer"), "lambda_1=my_layers:Scale"),
        trust_lambda=options.pop("trust_lambda"),
    )
