"""`tfx-export diff`: shows what changes for clients between two SavedModels."""

import json
import sys
from pathlib import Path

import click

_MARKS = {"breaking": "BREAKING  ", "compatible": "compatible", "note": "note      "}


@click.command("diff")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--tag-set", metavar="TAGS", help="Compare only the graphs with these tags.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(a: Path, b: Path, tag_set: str | None, as_json: bool) -> None:
    """Compare two SavedModels: can B replace A without breaking clients?

    \b
    tfx-export diff models/mnist/3 models/mnist/4 && echo publish
    tfx-export diff models/mnist build/saved_model

    A folder of versions means its newest version. Breaking changes: a signature, input or output is gone or has another
    dtype; an input accepts fewer shapes; an output may have new shapes; a new input is required. Changes of ops,
    weights and sizes are shown, and break nothing.

    Exit code: 0 if compatible or equal, 1 if breaking, 2 if a folder is not a valid SavedModel.
    """
    from tfx_export.savedmodel.diff import diff
    from tfx_export.savedmodel.version_history import newest_saved_model

    difference = diff(newest_saved_model(a), newest_saved_model(b), tag_set=tag_set)
    if as_json:
        click.echo(json.dumps(difference.to_json(), indent=2))
    else:
        for change in difference.changes:
            click.echo(f"{_MARKS[change.verdict]}  {change.where}: {change.what}")
        verdict = "breaking" if difference.breaking else "compatible" if difference.changes else "equal"
        click.echo(f"{difference.a} -> {difference.b}: {verdict} for clients")
    sys.exit(1 if difference.breaking else 0)
