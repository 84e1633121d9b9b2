"""`tfx-export bench`: measures how fast a model is served on this machine."""

from pathlib import Path

import click

from tfx_export.cli.feedback import feedback_options, steps


@click.command("bench")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--version", "number", type=int, help="Version to serve.  [default: newest]")
@click.option("--signature", default="", help="Signature to call.  [default: serving_default]")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(["tensorflow", "litert"]),
    help="Measure this engine only (repeatable).  [default: all that can run the model]",
)
@click.option("--clients", type=click.IntRange(1), default=32, show_default=True, help="Number of requests in flight.")
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Duration of each measurement."
)
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Number of measurements; the median counts."
)
@click.option(
    "--probe",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send the first row of this .npz file.  [default: generated from the signature]",
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

    Starts the real server on DIR (a model or one of its versions) with each engine and each front. Measures it
    alternately with a server that only echoes, and with the plain signature in process, so that the ratios are valid on
    a busy machine too.
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
