"""`tfx-export rollback`: serve an earlier version again."""

from pathlib import Path

import click


@click.command("rollback")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", type=click.IntRange(min=0), metavar="N", help="The version to go back to.")
def command(model: Path, to: int | None) -> None:
    """Serve an earlier version again: publish it under a new, highest number.

    \b
    tfx-export rollback models/mnist           to the version before the newest
    tfx-export rollback models/mnist --to 3

    Servers serve the highest number, and load no number twice. So nothing is removed or renumbered: the earlier
    version appears once more, in one step, as the newest, and running servers go over to it without a gap. Its files
    are hard links and take no room. Without --to it is the newest version that differs from what is served now.

    To undo it, roll back again.
    """
    from tfx_export.savedmodel.rollback import rollback

    version, folder = rollback(model, to)
    click.echo(f"Version {version} is published again as {folder}\nUndo: tfx-export rollback {model}")
