"""`tfx-export bench`: how fast a model is served on this machine."""

from pathlib import Path

import click

from tfx_export.cli.feedback import feedback_options, steps


@click.command("bench")
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--version", "number", type=int, help="Serve this version; the newest one if not given.")
@click.option("--signature", default="", help="Ask this signature; serving_default if not given.")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(["tensorflow", "litert"]),
    help="Measure this engine only (may be repeated); all that can run the model if not given.",
)
@click.option("--clients", type=click.IntRange(1), default=32, show_default=True, help="Requests in flight.")
@click.option("--seconds", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Of one measurement.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Measurements; medians count.")
@click.option(
    "--probe",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Ask with the first row in this .npz file; made up from the signature if not given.",
)
@feedback_options
def command(
    directory: Path,
    number: int | None,
    signature: str,
    engines: tuple[str, ...],
    clients: int,
    seconds: float,
    rounds: int,
    probe: Path | None,
    quiet: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Measure how fast a model is served on this machine.

    Starts the real server on DIR (a model, or one version of it) with each engine and each front, and measures it in
    turn with a server that only echoes and with the plain signature in process: the ratios hold on a busy machine too.
    """
    with steps(quiet=quiet or as_json, verbose=verbose) as step:
        from tfx_export.bench.comparison import as_json as comparisons_as_json, print_table
        from tfx_export.bench.measure_model import measure_model
        from tfx_export.tuning.tune import engines_for, find_version

        version = find_version(directory, number)
        comparisons = list(
            measure_model(
                version,
                engines or engines_for(version),
                signature=signature,
                probe=probe,
                clients=clients,
                seconds=seconds,
                rounds=rounds,
                step=step,
            )
        )
    if as_json:
        click.echo(comparisons_as_json(comparisons), nl=False)
    elif not quiet:
        print_table(comparisons)
