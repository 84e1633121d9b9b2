"""`tfx-export session`: exports a TF1 checkpoint or frozen graph."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from tfx_export.cli.export_options import export_options, run_export
from tfx_export.cli.input_output_options import input_output_options, take_inputs_and_outputs
from tfx_export.exporting.api import export_session


@click.command("session")
@click.argument("path", type=click.Path(path_type=Path))
@input_output_options
@export_options
def command(path: Path, **options: Any) -> None:
    """Export a TF1 checkpoint or frozen graph as a SavedModel.

    PATH is a .meta file, the prefix or folder of a checkpoint, or a frozen .pb or .pbtxt file. Without --input and
    --output, the command lists likely ones, with a command line to copy.

    \b
    Example: tfx-export session model.ckpt.meta --out models/m --input images=x:0 --output scores=softmax:0
    """
    run_export(partial(export_session, path, **take_inputs_and_outputs(options)), options)
