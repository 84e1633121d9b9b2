"""`tfx-export versions`: the versions of a model."""

import json
from collections.abc import Sequence

import click

from tfx_export.cli.sizes import file_size
from tfx_export.savedmodel.history import VersionSummary


def print_versions(versions: Sequence[VersionSummary], as_json: bool) -> None:
    """One line a version, newest first: number, time, size, signatures."""
    if as_json:
        click.echo(json.dumps([version.to_json() for version in versions], indent=2))
        return
    width = len(str(versions[0].version))
    for entry in versions:
        when = entry.written.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        what = f"{file_size(entry.summary.total_bytes):>9}  {_signatures(entry)}" if entry.summary else entry.problem
        click.echo(f"{entry.version:>{width}}  {when}  {what}")


def _signatures(entry: VersionSummary) -> str:
    assert entry.summary is not None
    return "; ".join(
        f"{','.join(meta.tags)}: "
        + ", ".join(f"{name} ({signed.method.rpartition('/')[2]})" for name, signed in meta.signatures.items())
        for meta in entry.summary.meta_graphs
    )
