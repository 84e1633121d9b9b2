"""The options of commands that load a Keras file, for everything that the file does not contain."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tfx_export.cli.export_options import parse_assignments
from tfx_export.exporting.sources.keras_options import KerasOptions

Function = TypeVar("Function", bound=Callable[..., object])


def keras_options(function: Function) -> Function:
    """Adds `--architecture`, `--custom-objects`, `--replace-layer` and `--trust-lambda`."""
    for option in (
        click.option(
            "--trust-lambda",
            is_flag=True,
            help="Run the Python code of Lambda layers in the file, and load the SavedModels of TFSMLayers.",
        ),
        click.option(
            "--replace-layer",
            multiple=True,
            metavar="NAME=MODULE:CLASS",
            help="Replace a layer with a class or function of yours (repeatable).",
        ),
        click.option(
            "--custom-objects",
            multiple=True,
            metavar="MODULE:ATTR",
            help="Class, function, or dict of them that the file refers to (repeatable).",
        ),
        click.option(
            "--architecture",
            type=click.Path(path_type=Path),
            metavar="MODEL.JSON",
            help="JSON of the model, if MODEL holds only weights.",
        ),
    ):
        function = option(function)
    return function


def options_from(options: dict[str, Any]) -> KerasOptions:
    """Removes the options above from `options` and returns them as KerasOptions."""
    return KerasOptions(
        architecture=options.pop("architecture"),
        custom_objects=options.pop("custom_objects"),
        replace_layers=parse_assignments("--replace-layer", options.pop("replace_layer"), "lambda_1=my_layers:Scale"),
        trust_lambda=options.pop("trust_lambda"),
    )
