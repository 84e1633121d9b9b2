"""`tfx-export tune`: finds the best batching parameters for a model on this machine."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfx_export.cli.feedback import feedback_options, steps

if TYPE_CHECKING:
    from tfx_export.tuning.tune import Tuning


@click.command("tune")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--version", "number", type=int, help="Version to tune.  [default: newest]")
@click.option("--signature", default="", help="Signature to call.  [default: serving_default]")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(["tensorflow", "litert"]),
    help="Try this engine only (repeatable).  [default: all that can run the model]",
)
@click.option("--clients", type=click.IntRange(1), default=32, show_default=True, help="Number of requests in flight.")
@click.option(
    "--seconds", type=click.FloatRange(1), default=90.0, show_default=True, help="Duration of the whole search."
)
@click.option("--max-p99-ms", type=float, help="Highest accepted 99th percentile of the latency, in milliseconds.")
@click.option(
    "--probe",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send the rows of this .npz file.  [default: generated from the signature]",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the parameters to this file.  [default: batching_params.pbtxt in the version folder]",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("tune_report.html"),
    show_default=True,
    help="Write the report with the plot to this file.",
)
@feedback_options
def command(
    directory: Path,
    number: int | None,
    signature: str,
    engines: tuple[str, ...],
    clients: int,
    seconds: float,
    max_p99_ms: float | None,
    probe: Path | None,
    output: Path | None,
    report: Path,
    quiet: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Find the best batching parameters for a model on this machine.

    Starts the real server on DIR (a model or one of its versions) with one setting after another: engines, batch sizes,
    threads and timeouts. Puts load on each with clients that send one row at a time. Writes the best setting as
    batching_params.pbtxt, and a report with a plot.
    """
    with steps(quiet=quiet or as_json, verbose=verbose) as step:
        step("Starting")
        from tfx_export.tuning.report import render_report
        from tfx_export.tuning.tune import PARAMETERS_FILE, engines_for, find_version, publish, tune

        version = find_version(directory, number)
        tuning = tune(
            version,
            engines or engines_for(version),
            seconds=seconds,
            clients=clients,
            signature=signature,
            probe=probe,
            max_p99=max_p99_ms,
            step=step,
        )
        output = output or version / PARAMETERS_FILE
        serve = serve_command(tuning, directory, output)
        if tuning.best.setting.max_batch_size:
            publish(output, tuning.best.setting.parameters(clients))
        publish(report, render_report(tuning, serve))
    written = str(output) if tuning.best.setting.max_batch_size else None
    if as_json:
        trials = [trial.to_json() for trial in tuning.trials]
        document = {"best": tuning.best.to_json(), "trials": trials, "complete": tuning.complete}
        click.echo(json.dumps({**document, "written": written, "report": str(report), "command": serve}, indent=2))
    elif not quiet:
        _print(tuning, written, report, serve)


def serve_command(tuning: "Tuning", directory: Path, parameters: Path) -> str:
    """Returns the command line that serves the model with the best setting."""
    setting = tuning.best.setting
    words = ["tfx-export", "serve", str(directory), f"--engine={setting.engine}"]
    if setting.max_batch_size:
        words += ["--enable_batching", f"--batching_parameters_file={parameters}"]
    return shlex.join(words)


def _print(tuning: "Tuning", written: str | None, report: Path, serve: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from tfx_export.tuning.report import verdict

    table = Table("setting", box=None, pad_edge=False)
    for heading in ("requests/s", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for trial in tuning.trials:
        measured = trial.measured
        style = "bold green" if trial is tuning.best else None
        figures = (f"{measured.requests_per_second:.0f}", f"{measured.p50_ms:.1f}", f"{measured.p99_ms:.1f}")
        table.add_row(str(trial.setting), *figures, style=style)
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    if not tuning.complete:
        console.print("\nThe time ran out before all settings were tried. Allow more with --seconds.", markup=False)
    console.print(f"\n{verdict(tuning)}", markup=False)
    for path in filter(None, (written, report)):
        console.print(f"Wrote {path}", markup=False)
    console.print(f"To serve with this setting:\n  {serve}", markup=False)
