"""`tfx-export doctor`: checks the installation."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tfx_export.doctor import Finding

MARKS = {"ok": ("+", "green"), "note": ("!", "yellow"), "missing": ("-", "bright_black"), "problem": ("x", "red")}


@click.command("doctor")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--deep", is_flag=True, help="Also run a computation with TensorFlow, which takes seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(folder: Path, deep: bool, as_json: bool) -> None:
    """Check the installation and report what is missing or in the way.

    Checks versions, the processor, the optional parts, and DIR (by default the current folder), where models are
    written and served. `+` is fine, `!` is worth knowing, `-` is an optional part that is not installed, `x` will fail.

    Exit code: 0 if nothing will fail, else 1.
    """
    from tfx_export.doctor import examine, healthy

    if not folder.is_dir():
        from tfx_export.errors import SpecError
        from tfx_export.recognise import describe

        message, hint = describe(folder, "a folder")
        raise SpecError(message, hint=hint)
    findings = examine(folder, deep=deep)
    if as_json:
        content = {"healthy": healthy(findings), "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(content, indent=2))
    else:
        _print(findings)
    sys.exit(0 if healthy(findings) else 1)


def _print(findings: "list[Finding]") -> None:
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            click.secho(area, bold=True)
        mark, color = MARKS[finding.level]
        click.echo(f"  {click.style(mark, fg=color)} {finding.name:<14} {finding.found}")
        if finding.advice:
            click.echo(f"    {'':<14} {finding.advice}")
