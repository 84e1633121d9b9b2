"""`tfx-export keras`: a Keras model file becomes a version of a served model."""

import json
import shlex
from pathlib import Path

import click

from tfx_export.cli.extras import extras_options
from tfx_export.cli.feedback import feedback_options, steps
from tfx_export.cli.summary import as_dict, print_summary
from tfx_export.errors import SpecError
from tfx_export.exporting.api import export_keras
from tfx_export.exporting.extras import Extras


def _renames(option: str, pairs: tuple[str, ...]) -> dict[str, str]:
    names: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise SpecError(f"{option} takes OLD=NEW, and got {pair!r}.", hint=f"For example: {option} dense_1=scores")
        if old in names:
            raise SpecError(f"{option} names {old!r} twice: {names[old]!r} and {new!r}.")
        names[old] = new
    return names


@click.command("keras")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The model's folder; versions are folders in it."
)
@click.option("--version", default="next", show_default=True, help="A number, 'next' or 'timestamp'.")
@click.option("--overwrite", is_flag=True, help="Replace the version if it exists.")
@click.option("--input-name", multiple=True, metavar="OLD=NEW", help="Rename an input (repeatable).")
@click.option("--output-name", multiple=True, metavar="OLD=NEW", help="Rename an output (repeatable).")
@extras_options
@feedback_options
def command(
    model: Path,
    out: Path,
    version: str,
    overwrite: bool,
    input_name: tuple[str, ...],
    output_name: tuple[str, ...],
    verify: bool,
    probe: Path | None,
    quiet: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Export a Keras model file as a SavedModel.

    MODEL is a .keras or .h5 file, written by Keras 3 or (with the keras2 extra) by Keras 2.
    The version appears in the folder whole or not at all.

    \b
    Exit codes: 2 the file is no model or a name does not fit, 3 the version exists, 4 the folder cannot be written,
    5 the export does not compute what the model computes (nothing is published).
    """
    input_names, output_names = _renames("--input-name", input_name), _renames("--output-name", output_name)
    with steps(quiet=quiet or as_json, verbose=verbose) as report:
        exported = export_keras(
            model,
            out,
            version=version,
            overwrite=overwrite,
            input_names=input_names,
            output_names=output_names,
            extras=Extras(verify=verify, probe=probe),
            report=report,
        )
    if as_json:
        click.echo(json.dumps(as_dict(exported), indent=2))
    elif not quiet:
        print_summary(exported, next_command=f"tfx-export serve {shlex.quote(str(out))}")
