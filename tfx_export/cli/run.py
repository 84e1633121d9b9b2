"""`tfx-export run`: ask one signature of a SavedModel, without a server."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfx_export.cli.folder_option import takes_folder
from tfx_export.errors import PublishError, SpecError

if TYPE_CHECKING:
    import numpy as np


@click.command("run")
@takes_folder
@click.option("--tag-set", metavar="TAGS", help="One graph by its tags; needed where there are several.")
@click.option("--signature-def", default="serving_default", show_default=True, metavar="NAME", help="The signature.")
@click.option("--inputs", multiple=True, metavar="KEY=FILE", help="From .npy, .npz or FILE.npz[NAME]; may be repeated.")
@click.option("--input-exprs", multiple=True, metavar="KEY=EXPR", help="From a literal or numpy expression.")
@click.option("--input-examples", multiple=True, metavar="KEY=LIST", help="tf.Examples from a list of dictionaries.")
@click.option("--outdir", type=click.Path(path_type=Path), help="Write each output to OUTDIR/KEY.npy.")
@click.option("--npz", type=click.Path(path_type=Path), metavar="FILE", help="Write all outputs to one .npz file.")
@click.option("--overwrite", is_flag=True, help="Replace output files that exist.")
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
    """Run a signature of a SavedModel on inputs from files or expressions.

    \b
    tfx-export run --dir models/m/1 --inputs 'x=data.npz[images]'
    tfx-export run --dir models/m/1 --input_exprs 'x=np.ones((2,3));keep=[1.0]' --json
    tfx-export run --dir models/m/1 --signature_def classify --input_examples 'inputs=[{"age":[22.0]}]'

    Several inputs are separated by semicolons or given by several options; of an input given twice, --input_examples
    counts before --input_exprs, and that before --inputs. A file that is no array is fed as one string: an image.
    Expressions are literals and numpy's constructors; nothing is executed and no pickle is read.
    """
    if not (inputs or input_exprs or input_examples):
        raise SpecError("No inputs.", hint="Give --inputs x=data.npy, or --input_exprs 'x=np.ones((2,3))'.")
    from tfx_export.cli import run_inputs
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
        click.echo(json.dumps({key: _plain(value) for key, value in outputs.items()}))
    else:
        for key in sorted(outputs):
            click.echo(f"Result for output key {key}:\n{outputs[key]}")
    _save(outputs, targets, npz)


def _save(outputs: Mapping[str, "np.ndarray"], targets: Mapping[str, Path], npz: Path | None) -> None:
    import numpy as np

    try:
        for key, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            np.save(target, _unpickled(outputs[key]))
            click.echo(f"Output {key} is saved to {target}", err=True)
        if npz:
            with npz.open("wb") as file:
                np.savez(file, allow_pickle=False, **{key: _unpickled(value) for key, value in outputs.items()})
            click.echo(f"The outputs are saved to {npz}", err=True)
    except OSError as error:
        raise PublishError(f"Cannot write the outputs: {error}.") from None


def _unpickled(array: "np.ndarray") -> "np.ndarray":
    # An array of objects would be written as a pickle.
    return array.astype("S") if array.dtype.kind == "O" else array


def _require_absent(path: Path) -> None:
    if path.exists():
        raise PublishError(f"{path} exists already.", hint="Replace it with --overwrite.")


def _file_name(key: str) -> str:
    # Names of outputs come from the model: none may lead out of the folder.
    return re.sub(r"[^\w-]", "_", key)


def _plain(array: "np.ndarray") -> Any:
    if array.dtype.kind != "O":
        return array.astype(float).tolist() if array.dtype.kind == "V" else array.tolist()
    import numpy as np

    return np.vectorize(_text, otypes=[object])(array).tolist()


def _text(value: bytes) -> Any:
    import base64

    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}
