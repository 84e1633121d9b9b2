"""Comparisons: two things measured in turn, round after round, and the ratio of their medians."""

import json
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tfx_export import __version__

# Of the table in a file: as wide as its rows.
WIDTH = 160


@dataclass(frozen=True)
class Comparison:
    """`values` of `what` beside those of `against`, one of each a round; `bar`, where one is set, is for the ratio."""

    what: str
    against: str
    unit: str
    values: tuple[float, ...]
    baseline: tuple[float, ...]
    bar: float | None = None
    at_least: bool = True

    @property
    def ratio(self) -> float:
        """Median by median: single rounds meet a busy machine."""
        return median(self.values) / median(self.baseline)

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        if self.bar is None:
            return None
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {
            "what": self.what,
            "against": self.against,
            "unit": self.unit,
            "values": self.values,
            "baseline": self.baseline,
            "ratio": round(self.ratio, 4),
            "bar": self.bar,
            "at_least": self.at_least,
            "met": self.met,
        }


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[tuple[float, ...]]:
    """What each of `measures` gives, `rounds` times, in turn: a change of the machine's mood meets all of them."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for values, measure in zip(taken, measures, strict=True):
            values.append(measure())
    return [tuple(values) for values in taken]


def print_table(comparisons: Iterable[Comparison]) -> None:
    """A row each, on stdout."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    drawn = Table("what", "median", "against", "median", "ratio", "bar", box=None, pad_edge=False)
    for each in comparisons:
        sign = "≥" if each.at_least else "≤"
        bar = "" if each.bar is None else f"{sign} {each.bar:g} {'met' if each.met else 'missed'}"
        drawn.add_row(
            each.what,
            f"{median(each.values):,.4g} {each.unit}",
            each.against,
            f"{median(each.baseline):,.4g} {each.unit}",
            f"{each.ratio:.3g}",
            bar,
        )
    console.print(drawn)


def as_json(comparisons: Iterable[Comparison]) -> str:
    """The table for programs, and where it was measured."""
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    rows = [each.as_json() for each in comparisons]
    return json.dumps({"tfx_export": __version__, "machine": machine, "comparisons": rows}, indent=2) + "\n"
