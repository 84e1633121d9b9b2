"""`python -m tests.benchmark`: measures all targets. Prints a table and writes JSON."""

import os
import subprocess
from pathlib import Path

import click
from rich.console import Console

from tests.benchmark.peer import peer_environment
from tests.benchmark.targets import GROUPS, PEER_TARGETS, TARGETS
from tests.benchmark.testbed import Testbed
from tfx_export.bench.comparison import Comparison, as_json, print_table
from tfx_export.errors import TfxExportError

MEASURES = {**TARGETS, **PEER_TARGETS}


@click.command()
@click.option(
    "--only", multiple=True, type=click.Choice([*MEASURES, *GROUPS]), help="Measure this target only (repeatable)."
)
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=3.0, show_default=True, help="Duration of each measurement."
)
@click.option(
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="Number of measurements; the median counts."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("build/bench"),
    show_default=True,
    help="Keep the models in this folder.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/bench.json"),
    show_default=True,
    help="Write the JSON to this file.",
)
def main(only: tuple[str, ...], seconds: float, rounds: int, folder: Path, output: Path) -> None:
    """Measure the performance targets of this project, and other servers for comparison."""
    console = Console(stderr=True)
    folder.mkdir(parents=True, exist_ok=True)
    _keep_bytecode(folder.absolute())
    testbed = Testbed(folder.absolute(), seconds=seconds, rounds=rounds, report=console.print)
    names = {target for name in only for target in GROUPS.get(name, [name])} or {*MEASURES}
    chosen = {name: measure for name, measure in MEASURES.items() if name in names}
    if peer_environment() is None:
        for name in [name for name in chosen if name in PEER_TARGETS]:
            console.print(f"Skipped {name}: the peers are not installed (make bench installs them)")
            del chosen[name]
    comparisons: list[Comparison] = []
    for name, measure in chosen.items():
        console.print(f"Measuring {name}")
        try:
            comparisons.extend(measure(testbed))
        except (TfxExportError, subprocess.CalledProcessError) as error:
            console.print(f"Failed {name}: {error}", markup=False)
        # After each target, so that an interrupted run keeps its results.
        output.write_text(as_json(comparisons))
    print_table(comparisons)


def _keep_bytecode(folder: Path) -> None:
    """Lets all programs find their bytecode, as installed ones do, even if this checkout keeps none."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")


if __name__ == "__main__":
    main()
