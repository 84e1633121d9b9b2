"""`tfx-export keras`: exports a Keras model file."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from tfx_export.cli.export_options import export_options, run_export
from tfx_export.cli.keras_options import keras_options, options_from
from tfx_export.exporting.api import export_keras


@click.command("keras")
@click.argument("model", type=click.Path(path_type=Path))
@keras_options
@export_options
def command(model: Path, **options: Any) -> None:
    """Export a Keras model file as a SavedModel.

    MODEL is a .keras or .h5 file, written by Keras 3 or (with the keras2 extra) by Keras 2, a SavedModel folder of
    Keras 2, or a file of weights with --architecture. The version is published complete or not at all.

    \b
    Exit codes:
    2  MODEL is not a valid model, or a name or option does not fit it
    3  the version already exists
    4  the folder is not writable
    5  the export does not compute what the model computes; nothing is published
    """
    run_export(partial(export_keras, model, options=options_from(options)), options)
