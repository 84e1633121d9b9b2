"""`tfx-export versions`: lists the versions of a model."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.filesize import decimal

from tfx_export.savedmodel.version_history import VersionSummary


@click.command("versions")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: Path, as_json: bool) -> None:
    """List the versions of a model: number, time, size, signatures and changes.

    \b
    tfx-export versions models/mnist

    MODEL is the folder that holds the version folders. The newest version, which servers serve, comes first. Below each
    version are the changes of its signatures since the previous one; "!" marks those that break clients.
    """
    from tfx_export.savedmodel.version_history import versions

    print_versions(versions(model), as_json)


def print_versions(versions: Sequence[VersionSummary], as_json: bool) -> None:
    """Prints one line per version, newest first: number, time, size and signatures."""
    if as_json:
        click.echo(json.dumps([version.to_json() for version in versions], indent=2))
        return
    width = len(str(versions[0].version))
    for entry in versions:
        when = entry.written.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        what = f"{decimal(entry.summary.total_bytes):>9}  {_signatures(entry)}" if entry.summary else entry.problem
        same = f"  same as {entry.same_as}" if entry.same_as is not None else ""
        click.echo(f"{entry.version:>{width}}  {when}  {what}{same}")
        for change in entry.changes:
            mark = "!" if change.verdict == "breaking" else " "
            click.echo(f"{'':>{width}}  {mark} {change.where}: {change.what}")


def _signatures(entry: VersionSummary) -> str:
    assert entry.summary is not None
    return "; ".join(
        f"{','.join(meta.tags)}: "
        + ", ".join(f"{name} ({signature.method.rpartition('/')[2]})" for name, signature in meta.signatures.items())
        for meta in entry.summary.meta_graphs
    )
