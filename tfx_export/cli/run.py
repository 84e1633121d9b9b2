"""`tfx-export run`: runs a signature of a SavedModel without a server."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfx_export.cli.custom_op_options import custom_op_options
from tfx_export.cli.folder_option import folder_option
from tfx_export.errors import PublishError, SpecError

if TYPE_CHECKING:
    import numpy as np


@click.command("run")
@folder_option
@click.option("--tag-set", metavar="TAGS", help="Tags of the graph; required if there are several.")
@click.option("--signature-def", default="serving_default", show_default=True, metavar="NAME", help="Signature to run.")
@click.option(
    "--inputs",
    multiple=True,
    metavar="KEY=FILE",
    help="Input from a .npy file, .npz file or FILE.npz[NAME] (repeatable).",
)
@click.option(
    "--input-exprs", multiple=True, metavar="KEY=EXPR", help="Input from a literal or numpy expression (repeatable)."
)
@click.option(
    "--input-examples", multiple=True, metavar="KEY=LIST", help="tf.Examples from a list of dictionaries (repeatable)."
)
@click.option("--outdir", type=click.Path(path_type=Path), help="Write each output to OUTDIR/KEY.npy.")
@click.option("--npz", type=click.Path(path_type=Path), metavar="FILE", help="Write all outputs to one .npz file.")
@click.option("--overwrite", is_flag=True, help="Replace existing output files.")
@custom_op_options
@click.option("--json", "as_json", is_flag=True, help="Print the outputs as JSON.")
def command(
    folder: Path,
    tag_set: str | None,
    signature_def: str,
    inputs: tuple[str, ...],
    input_exprs: tuple[str, ...],
    input_examples: tuple[str, ...],
    outdir: Path | None,
    npz: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Run a signature of a SavedModel on inputs from files or expressions, without a server.

    \b
    tfx-export run --dir models/m/1 --inputs 'x=data.npz[images]'
    tfx-export run --dir models/m/1 --input_exprs 'x=np.ones((2,3));keep=[1.0]' --json
    tfx-export run --dir models/m/1 --signature_def classify --input_examples 'inputs=[{"age":[22.0]}]'

    Separate several inputs with semicolons, or repeat the option. If an input is given twice, --input_examples
    overrides --input_exprs, which overrides --inputs. Any other file, such as an image, is passed as one string.
    Expressions are literals and numpy constructors; no code is executed and no pickle is read.
    """
    if not (inputs or input_exprs or input_examples):
        raise SpecError("No inputs.", hint="Give --inputs x=data.npy, or --input_exprs 'x=np.ones((2,3))'.")
    from tfx_export.cli import run_inputs
    from tfx_export.cli.array_json import array_to_json
    from tfx_export.cli.feedback import steps
    from tfx_export.exporting.verification.run_signature import run
    from tfx_export.savedmodel.version_history import newest_saved_model

    folder = newest_saved_model(folder)
    values = {
        **run_inputs.from_files(inputs),
        **run_inputs.from_expressions(input_exprs),
        **run_inputs.from_examples(input_examples),
    }
    if npz and not overwrite:
        _require_absent(npz)
    with steps(quiet=False, verbose=False) as report:
        report("Running the model in a fresh process")
        outputs = run(folder, values, signature=signature_def, tag_set=tag_set)
    targets = {key: outdir / f"{_file_name(key)}.npy" for key in outputs} if outdir else {}
    if not overwrite:
        for target in targets.values():
            _require_absent(target)
    if as_json:
        click.echo(json.dumps({key: array_to_json(value) for key, value in outputs.items()}))
    else:
        for key in sorted(outputs):
            click.echo(f"Result for output key {key}:\n{outputs[key]}")
    _save(outputs, targets, npz)


def _save(outputs: Mapping[str, "np.ndarray"], targets: Mapping[str, Path], npz: Path | None) -> None:
    import numpy as np

    try:
        for key, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            np.save(target, _without_objects(outputs[key]))
            click.echo(f"Output {key} is saved to {target}", err=True)
        if npz:
            with npz.open("wb") as file:
                np.savez(file, allow_pickle=False, **{key: _without_objects(value) for key, value in outputs.items()})
            click.echo(f"The outputs are saved to {npz}", err=True)
    except OSError as error:
        raise PublishError(f"Cannot write the outputs: {error}.") from None


def _without_objects(array: "np.ndarray") -> "np.ndarray":
    # numpy would write an array of objects as a pickle.
    return array.astype("S") if array.dtype.kind == "O" else array


def _require_absent(path: Path) -> None:
    if path.exists():
        raise PublishError(f"{path} already exists.", hint="Replace it with --overwrite.")


def _file_name(key: str) -> str:
    # The names come from the model and must not lead out of the folder.
    return re.sub(r"[^\w-]", "_", key)
