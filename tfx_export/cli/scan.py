"""`tfx-export scan`: finds content of a SavedModel that should not be served."""

import json
import sys
from pathlib import Path

import click

from tfx_export.cli.folder_option import folder_option


@click.command("scan")
@folder_option
@click.option("--tag-set", metavar="TAGS", help="Scan only the graph with these tags.  [default: all]")
@click.option("--op-denylist", metavar="OPS", help="Ops to deny, separated by commas, instead of the default list.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(folder: Path, tag_set: str | None, op_denylist: str | None, as_json: bool) -> None:
    """Find denied ops and NaN or infinite weights in a SavedModel.

    Denied ops are those that open files (ReadFile, WriteFile, ...), call Python (PyFunc, ...) or call other machines.
    Variables are read from the checkpoint: each must match its checksum and hold finite numbers.

    Exit code: 0 if nothing is found, 1 if something is found, 2 if the folder is not a valid SavedModel.
    """
    from tfx_export.savedmodel.scan import scan
    from tfx_export.savedmodel.version_history import newest_saved_model

    denied = None if op_denylist is None else {op.strip() for op in op_denylist.split(",") if op.strip()}
    report = scan(newest_saved_model(folder), tag_set=tag_set, denied_ops=denied)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        for finding in report.findings:
            click.echo(f"{finding.kind} {finding.name}: {finding.problem}")
        count = len(report.findings)
        found = f"{count or 'No'} finding{'' if count == 1 else 's'}"
        click.echo(f"{found} in {report.nodes} nodes and {report.variables} variables.")
    sys.exit(1 if report.findings else 0)
