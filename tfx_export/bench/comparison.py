"""Comparisons: two subjects are measured alternately, and the ratio of their medians is the result."""

import json
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from tfx_export import __version__

# Columns of a table that is not printed on a terminal.
WIDTH = 160


@dataclass(frozen=True)
class Comparison:
    """The measured `values` of the subject `what`, and those of `against` in `baseline`, one per round.

    `target`: the smallest ratio that meets the target, or the largest if `at_least` is False. None: there is no target.
    """

    what: str
    against: str
    unit: str
    values: tuple[float, ...]
    baseline: tuple[float, ...]
    target: float | None = None
    at_least: bool = True

    @property
    def ratio(self) -> float:
        """The ratio of the medians, because other processes disturb single rounds."""
        return median(self.values) / median(self.baseline)

    @property
    def met(self) -> bool | None:
        """Whether the target is met, or None without a target."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    def as_json(self) -> dict[str, object]:
        """Returns all measured values, the ratio and the target."""
        return {
            "what": self.what,
            "against": self.against,
            "unit": self.unit,
            "values": self.values,
            "baseline": self.baseline,
            "ratio": round(self.ratio, 4),
            "bar": self.target,  # the key that earlier versions wrote
            "at_least": self.at_least,
            "met": self.met,
        }


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[tuple[float, ...]]:
    """Calls all `measures` alternately, `rounds` times, so that a busy machine slows all of them down.

    Returns the values of each measure.
    """
    columns: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for values, measure in zip(columns, measures, strict=True):
            values.append(measure())
    return [tuple(values) for values in columns]


def print_table(comparisons: Iterable[Comparison]) -> None:
    """Prints a table on stdout, with one row per comparison."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    table = Table("what", "median", "against", "median", "ratio", "target", box=None, pad_edge=False)
    for each in comparisons:
        sign = "≥" if each.at_least else "≤"
        target = "" if each.target is None else f"{sign} {each.target:g} {'met' if each.met else 'missed'}"
        table.add_row(
            each.what,
            f"{median(each.values):,.4g} {each.unit}",
            each.against,
            f"{median(each.baseline):,.4g} {each.unit}",
            f"{each.ratio:.3g}",
            target,
        )
    console.print(table)


def as_json(comparisons: Iterable[Comparison]) -> str:
    """Returns the comparisons as JSON, with a description of the machine."""
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    rows = [each.as_json() for each in comparisons]
    return json.dumps({"tfx_export": __version__, "machine": machine, "comparisons": rows}, indent=2) + "\n"
