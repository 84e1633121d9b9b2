"""`tfx-export diff`: what changes for clients between two SavedModels."""

import json
import sys
from pathlib import Path

import click

_MARKS = {"breaking": "BREAKING  ", "compatible": "compatible", "note": "note      "}


@click.command("diff")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--tag-set", metavar="TAGS", help="Only the graph with these tags.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def command(a: Path, b: Path, tag_set: str | None, as_json: bool) -> None:
    """Compare two SavedModels: do the clients of A get along with B?

    \b
    tfx-export diff models/mnist/3 models/mnist/4 && echo publish
    tfx-export diff models/mnist build/saved_model

    A folder of versions stands for its newest. Breaking: a signature, input or output is gone or has another dtype; an
    input takes less than before; an output may have shapes it never had; a new input is required. Ops, weights and
    sizes are noted and break nothing.

    Exit code: 0 compatible or equal, 1 breaking, 2 no SavedModel.
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
