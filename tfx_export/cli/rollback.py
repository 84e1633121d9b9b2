"""`tfx-export rollback`: publishes an earlier version again."""

from pathlib import Path

import click


@click.command("rollback")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.IntRange(min=0),
    metavar="N",
    help="Version to go back to.  [default: newest one that differs from the served version]",
)
def command(model: Path, to: int | None) -> None:
    """Serve an earlier version again by publishing it under a new, highest number.

    \b
    tfx-export rollback models/mnist           to the version before the newest
    tfx-export rollback models/mnist --to 3

    Servers serve the highest number and never load a number twice, so no version is removed or renumbered. The earlier
    version is published again in one step as the newest one, and running servers switch to it without interruption.
    Its files are hard links and need no space.

    To undo a rollback, roll back again.
    """
    from tfx_export.savedmodel.rollback import rollback

    version, folder = rollback(model, to)
    click.echo(f"Version {version} is published again as {folder}\nUndo: tfx-export rollback {model}")
