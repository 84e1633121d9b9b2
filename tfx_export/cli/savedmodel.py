"""`tfx-export savedmodel`: exports an existing SavedModel with its own or other signatures."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from tfx_export.cli.export_options import export_options, run_export
from tfx_export.cli.input_output_options import input_output_options, take_inputs_and_outputs
from tfx_export.exporting.api import export_savedmodel


@click.command("savedmodel")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--signature-def",
    multiple=True,
    metavar="NAME",
    help="Keep only this signature (repeatable), or start new ones from it.  [default: all]",
)
@click.option(
    "--source-tags",
    "--tag-set",
    "source_tags",
    default="serve",
    show_default=True,
    help="Tags of the graph to read, separated by commas.",
)
@input_output_options
@export_options
def command(folder: Path, signature_def: tuple[str, ...], source_tags: str, **options: Any) -> None:
    """Export an existing SavedModel again, with its signatures or others.

    All signatures are kept with their methods, unless you choose some with --signature-def or describe others
    (--signature, --signatures, --labels, --top-k, --input, --output). Variables, tables and assets are exported too.
    Use --input and --output to name tensors that no signature of the SavedModel uses.
    """
    tags = tuple(filter(None, (tag.strip() for tag in source_tags.split(","))))
    tensors = take_inputs_and_outputs(options)
    run_export(partial(export_savedmodel, folder, signature=signature_def, source_tags=tags, **tensors), options)
