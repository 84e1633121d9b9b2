"""`tfx-export init`: prints a spec file filled in from a model."""

from pathlib import Path
from typing import Any

import click

from tfx_export.cli.custom_op_options import custom_op_options
from tfx_export.cli.feedback import steps
from tfx_export.cli.input_output_options import input_output_options, take_inputs_and_outputs
from tfx_export.cli.keras_options import keras_options, options_from
from tfx_export.exporting.api import describe_keras, describe_savedmodel, describe_session


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


@command.command("session")
@click.argument("path", type=click.Path(path_type=Path))
@input_output_options
@custom_op_options
@click.option("-v", "--verbose", is_flag=True, help="Show each step and TensorFlow's messages.")
def session(path: Path, verbose: bool, **options: Any) -> None:
    """Print the spec file of a TF1 checkpoint or frozen graph.

    PATH, --input, --output and --bind are as for `tfx-export session`; give them there too, with --signatures.

    \b
    tfx-export init session model.ckpt.meta --input x=x:0 --output scores=softmax:0 > spec.yaml
    """
    tensors = take_inputs_and_outputs(options)
    with steps(quiet=False, verbose=verbose) as report:
        text = describe_session(path, report=report, **tensors)
    click.echo(text, nl=False)


@command.command("savedmodel")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--signature-def", multiple=True, metavar="NAME", help="The signature to start from.")
@click.option(
    "--source-tags",
    "--tag-set",
    "source_tags",
    default="serve",
    show_default=True,
    help="Tags of the graph to read, separated by commas.",
)
@input_output_options
@custom_op_options
@click.option("-v", "--verbose", is_flag=True, help="Show each step and TensorFlow's messages.")
def savedmodel(folder: Path, signature_def: tuple[str, ...], source_tags: str, verbose: bool, **options: Any) -> None:
    """Print the spec file of a signature of a SavedModel: tfx-export init savedmodel models/m/1 > spec.yaml

    The options are as for `tfx-export savedmodel`; give them there too, with --signatures.
    """
    tags = tuple(filter(None, (tag.strip() for tag in source_tags.split(","))))
    tensors = take_inputs_and_outputs(options)
    with steps(quiet=False, verbose=verbose) as report:
        text = describe_savedmodel(folder, signature=signature_def, source_tags=tags, report=report, **tensors)
    click.echo(text, nl=False)
