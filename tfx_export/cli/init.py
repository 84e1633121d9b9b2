"""`tfx-export init`: prints a spec file filled in from a model."""

from pathlib import Path
from typing import Any

import click

from tfx_export.cli.custom_op_options import custom_op_options
from tfx_export.cli.feedback import steps
from tfx_export.cli.keras_options import keras_options, options_from
from tfx_export.exporting.api import describe_keras


@click.group("init")
def command() -> None:
    """Print a commented spec file for --signatures, filled in from a model."""


@command.command("keras")
@click.argument("model", type=click.Path(path_type=Path))
@keras_options
@custom_op_options
@click.option("-v", "--verbose", is_flag=True, help="Show each step and TensorFlow's messages.")
def keras(model: Path, verbose: bool, **options: Any) -> None:
    """Print the spec file of a Keras model: tfx-export init keras model.h5 > spec.yaml"""
    with steps(quiet=False, verbose=verbose) as report:
        text = describe_keras(model, options=options_from(options), report=report)
    click.echo(text, nl=False)
