"""Counter, Gauge, Histogram and the page they are read from.

prometheus_client cannot carry upstream's names: it appends `_total` to a counter's name and prints bucket limits in
another form, so that dashboards made for TensorFlow Serving would find nothing. A cell costs under a microsecond.
"""

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

Labels = tuple[str, ...]
Readings = Callable[[], Mapping[Labels, float]]
# What a cell shows: a number, or of a histogram the counts by bucket and the sum.
Reading = float | tuple[tuple[int, ...], float]
# By the names of the metrics.
Snapshot = Mapping[str, Mapping[Labels, Reading]]
Combine = Callable[[Sequence[Any]], Any]

# Label values may come from clients (a model's name): beyond so many, the rest share one cell.
MAX_CELLS = 2000
OTHER = "other"


def exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """`count` bucket limits, each `growth` times the one before, from `scale` up."""
    limits = []
    limit = scale
    for _ in range(count):
        limits.append(limit)
        limit *= growth
    return tuple(limits)


class Value:
    """One number: the cell of a counter or a gauge."""

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        self.value: float = 0
        self._lock = threading.Lock()

    def add(self, amount: float = 1) -> None:
        with self._lock:
            self.value += amount

    def set(self, value: float) -> None:
        self.value = value


class Distribution:
    """The cell of a histogram: how many observations fell into each bucket, and their sum."""

    __slots__ = ("_limits", "_lock", "counts", "sum")

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self.counts = [0] * (len(limits) + 1)
        self.sum: float = 0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def observe(self, amount: float) -> None:
        bucket = bisect_left(self._limits, amount)
        with self._lock:
            self.counts[bucket] += 1
            self.sum += amount


Cell = TypeVar("Cell")


class Family(dict[Labels, Cell]):
    """A metric: one cell for each combination of label values, in the order of `labels`; made at first use."""

    def __init__(self, name: str, description: str, labels: Sequence[str], new_cell: Callable[[], Cell]) -> None:
        self.name = name
        self.description = description
        self.labels = tuple(labels)
        self._new_cell = new_cell
        self._lock = threading.Lock()

    def __missing__(self, values: Labels) -> Cell:
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {values}")
        with self._lock:
            if len(self) >= MAX_CELLS:
                values = (OTHER,) * len(values)
            return self.setdefault(values, self._new_cell())

    def drop(self, *values: str) -> None:
        """Forget one cell, e.g. that of a version that was unloaded."""
        with self._lock:
            self.pop(values, None)

    def cells(self) -> list[tuple[Labels, Cell]]:
        with self._lock:
            return sorted(self.items(), key=lambda item: item[0])


class Counter(Family[Value]):
    """Only grows."""

    kind = "counter"
    combine: Combine = staticmethod(sum)

    def __init__(self, name: str, description: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, description, labels, Value)

    def add(self, *values: str, amount: float = 1) -> None:
        self[values].add(amount)

    def readings(self) -> dict[Labels, Reading]:
        return {values: cell.value for values, cell in self.cells()}

    def lines(self, values: Labels, reading: Any) -> Iterable[str]:
        yield f"{self.name}{{{_pairs(self.labels, values)}}} {_number(reading)}"


class Gauge(Family[Value]):
    """Goes up and down; or is read, when the page is asked for, from whoever knows."""

    kind = "gauge"

    def __init__(self, name: str, description: str, labels: Sequence[str] = (), combine: Combine = sum) -> None:
        """`combine`: what the readings of several processes amount to."""
        super().__init__(name, description, labels, Value)
        self.combine = combine
        self._sources: list[Readings] = []

    def set(self, *values: str, value: float) -> None:
        self[values].set(value)

    def read_from(self, source: Readings) -> None:
        """Ask `source` for label values and their readings each time the page is made."""
        self._sources.append(source)

    def readings(self) -> dict[Labels, Reading]:
        readings: dict[Labels, Reading] = {values: cell.value for values, cell in self.cells()}
        for source in self._sources:
            readings.update(source())
        return readings

    def lines(self, values: Labels, reading: Any) -> Iterable[str]:
        yield f"{self.name}{{{_pairs(self.labels, values)}}} {_number(reading)}"


class Histogram(Family[Distribution]):
    """Counts observations by size."""

    kind = "histogram"

    def __init__(self, name: str, description: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        super().__init__(name, description, labels, lambda: Distribution(buckets))
        # Limits as upstream prints them, so that `le` selectors in dashboards match.
        self._limits = [f"{limit:g}" for limit in buckets] + ["+Inf"]

    def observe(self, *values: str, amount: float) -> None:
        self[values].observe(amount)

    def readings(self) -> dict[Labels, Reading]:
        return {values: (tuple(cell.counts), cell.sum) for values, cell in self.cells()}

    def lines(self, values: Labels, reading: Any) -> Iterable[str]:
        counts, amount = reading
        pairs = _pairs(self.labels, values)
        separator = "," if pairs else ""
        total = 0
        for limit, count in zip(self._limits, counts, strict=True):
            total += count
            yield f'{self.name}_bucket{{{pairs}{separator}le="{limit}"}} {total}'
        yield f"{self.name}_sum{{{pairs}}} {_number(amount)}"
        yield f"{self.name}_count{{{pairs}}} {total}"

    @staticmethod
    def combine(readings: Sequence[Any]) -> Reading:
        counts = zip(*(counts for counts, _ in readings), strict=True)
        return tuple(map(sum, counts)), sum(amount for _, amount in readings)


class Metric(Protocol):
    """What a page needs of a metric."""

    name: str
    description: str
    kind: str

    def readings(self) -> dict[Labels, Reading]:
        """What each cell shows now."""
        ...

    def lines(self, values: Labels, reading: Any) -> Iterable[str]:
        """The lines of the page for one reading."""
        ...

    def combine(self, readings: Sequence[Any]) -> Any:
        """What the readings of one cell in several processes amount to."""
        ...


def page(metrics: Iterable[Metric], snapshot: Snapshot | None = None) -> str:
    """`metrics` as they are, or were in `snapshot`, in Prometheus' text format; those without a reading left out."""
    lines = []
    for metric in metrics:
        if readings := metric.readings() if snapshot is None else snapshot[metric.name]:
            lines += [f"# HELP {metric.name} {metric.description}", f"# TYPE {metric.name} {metric.kind}"]
            for values, reading in sorted(readings.items()):
                lines += metric.lines(values, reading)
    return "\n".join(lines) + "\n"


def _pairs(labels: Labels, values: Labels) -> str:
    return ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(float(value))
