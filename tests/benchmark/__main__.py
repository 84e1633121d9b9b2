"""`python -m tests.benchmark`: every target, as a table and as JSON. `make bench` runs it."""

import os
import subprocess
from pathlib import Path

import click
from rich.console import Console

from tests.benchmark.peer import peer_environment
from tests.benchmark.targets import BARS, PEER_BARS
from tests.benchmark.testbed import Testbed
from tfx_export.bench.comparison import Comparison, as_json, print_table
from tfx_export.errors import TfxExportError

NAMES = [*BARS, *PEER_BARS]


@click.command()
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Measure only this (repeatable).")
@click.option("--seconds", type=click.FloatRange(0.1), default=3.0, show_default=True, help="Length of a measurement.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Measurements; medians count.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("build/bench"), show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/bench.json"), show_default=True)
def main(only: tuple[str, ...], seconds: float, rounds: int, folder: Path, output: Path) -> None:
    """Measure what is promised about speed, side by side with what it is measured against."""
    console = Console(stderr=True)
    folder.mkdir(parents=True, exist_ok=True)
    _keep_bytecode(folder.absolute())
    testbed = Testbed(folder.absolute(), seconds=seconds, rounds=rounds, report=console.print)
    chosen = {name: measure for name, measure in {**BARS, **PEER_BARS}.items() if not only or name in only}
    if peer_environment() is None:
        for name in [name for name in chosen if name in PEER_BARS]:
            console.print(f"Left out: {name}, the peers are not installed (make bench installs them)")
            del chosen[name]
    comparisons: list[Comparison] = []
    for name, measure in chosen.items():
        console.print(f"Measuring {name}")
        try:
            comparisons.extend(measure(testbed))
        except (TfxExportError, subprocess.CalledProcessError) as error:
            console.print(f"Not measured: {name}: {error}", markup=False)
        # After each: who stops it half-way keeps what there is.
        output.write_text(as_json(comparisons))
    print_table(comparisons)


def _keep_bytecode(folder: Path) -> None:
    """Programs start as installed ones do, also from a checkout that keeps no bytecode: ours and all others."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")


if __name__ == "__main__":
    main()
