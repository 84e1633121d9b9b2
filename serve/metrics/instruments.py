"""Counter, Gauge and Histogram, and the page that shows them.

prometheus_client cannot be used with upstream's names: it appends `_total` to the name of a counter and formats bucket
limits differently, so dashboards made for TensorFlow Serving would find nothing. An update takes less than 1 us.
"""

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar


@dataclass(frozen=True)
class Memory:
    """A reading of memory, in bytes. As a number it is the sum of both parts."""

    private: int
    # Pages of files, which the processes share.
    mapped: int

    def __int__(self) -> int:
        return self.private + self.mapped

    def __float__(self) -> float:
        return float(int(self))

    @staticmethod
    def combined(readings: "Sequence[Memory]") -> "Memory":
        """Returns the memory of several processes: private memory adds up, mapped files count once."""
        return Memory(sum(each.private for each in readings), max(each.mapped for each in readings))


Labels = tuple[str, ...]
# The value of a cell: a number or, for a histogram, the counts by bucket and the sum.
Reading = float | Memory | tuple[tuple[int, ...], float]
Readings = Callable[[], Mapping[Labels, float] | Mapping[Labels, Memory]]
# Readings by metric name and label values.
Snapshot = Mapping[str, Mapping[Labels, Reading]]
Combine = Callable[[Sequence[Any]], Any]

# At most 2,000 cells per metric, because clients choose some label values (a model's name). The rest share a cell.
MAX_CELLS = 2000
OTHER = "other"


def exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """Returns `count` bucket limits, from `scale` up, each `growth` times the previous one."""
    limits = []
    limit = scale
    for _ in range(count):
        limits.append(limit)
        limit *= growth
    return tuple(limits)


class Value:
    """The cell of a counter or a gauge: a number."""

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
    """The cell of a histogram: the number of observations in each bucket, and their sum."""

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
    """A metric: one cell for each combination of label values, in the order of `labels`, created on first use."""

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
        """Removes a cell, e.g. of a version that was unloaded."""
        with self._lock:
            self.pop(values, None)

    def cells(self) -> list[tuple[Labels, Cell]]:
        with self._lock:
            return sorted(self.items(), key=lambda item: item[0])


class Counter(Family[Value]):
    """A metric that only grows."""

    kind = "counter"
    combine: Combine = staticmethod(sum)

    def __init__(self, name: str, description: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, description, labels, Value)

    def add(self, *values: str, amount: float = 1) -> None:
        self[values].add(amount)

    def readings(self) -> dict[Labels, Reading]:
        return {values: cell.value for values, cell in self.cells()}

    def lines(self, values: Labels, reading: Any) -> Iterable[str]:
        yield f"{self.name}{{{_label_pairs(self.labels, values)}}} {_number(reading)}"


class Gauge(Family[Value]):
    """A metric that goes up and down. It is set, or read from sources when a snapshot is taken."""

    kind = "gauge"

    def __init__(self, name: str, description: str, labels: Sequence[str] = (), combine: Combine = sum) -> None:
        """`combine` combines the readings of several processes into one."""
        super().__init__(name, description, labels, Value)
        self.combine = combine
        self._sources: list[Readings] = []

    def set(self, *values: str, value: float) -> None:
        self[values].set(value)

    def read_from(self, source: Readings) -> None:
        """Calls `source` for label values and their readings whenever a snapshot is taken."""
        self._sources.append(source)

    def readings(self) -> dict[Labels, Reading]:
        readings: dict[Labels, Reading] = {values: cell.value for values, cell in self.cells()}
        for source in self._sources:
            readings.update(source())
        return readings

    def lines(self, values: Labels, reading: Any) -> Iterable[str]:
        yield f"{self.name}{{{_label_pairs(self.labels, values)}}} {_number(reading)}"


class Histogram(Family[Distribution]):
    """A metric that counts observations by size."""

    kind = "histogram"

    def __init__(self, name: str, description: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        super().__init__(name, description, labels, lambda: Distribution(buckets))
        # Limits are formatted as upstream does, so that `le` selectors in dashboards match.
        self._limits = [f"{limit:g}" for limit in buckets] + ["+Inf"]

    def observe(self, *values: str, amount: float) -> None:
        self[values].observe(amount)

    def readings(self) -> dict[Labels, Reading]:
        return {values: (tuple(cell.counts), cell.sum) for values, cell in self.cells()}

    def lines(self, values: Labels, reading: Any) -> Iterable[str]:
        counts, amount = reading
        label_pairs = _label_pairs(self.labels, values)
        separator = "," if label_pairs else ""
        total = 0
        for limit, count in zip(self._limits, counts, strict=True):
            total += count
            yield f'{self.name}_bucket{{{label_pairs}{separator}le="{limit}"}} {total}'
        yield f"{self.name}_sum{{{label_pairs}}} {_number(amount)}"
        yield f"{self.name}_count{{{label_pairs}}} {total}"

    @staticmethod
    def combine(readings: Sequence[Any]) -> Reading:
        counts = zip(*(counts for counts, _ in readings), strict=True)
        return tuple(map(sum, counts)), sum(amount for _, amount in readings)


class Metric(Protocol):
    """What the page needs from a metric."""

    name: str
    description: str
    kind: str

    def readings(self) -> dict[Labels, Reading]:
        """Returns the current value of each cell."""
        ...

    def lines(self, values: Labels, reading: Any) -> Iterable[str]:
        """Yields the lines of the page for one reading."""
        ...

    def combine(self, readings: Sequence[Any]) -> Any:
        """Combines the readings of one cell in several processes into one."""
        ...


def page(metrics: Iterable[Metric], snapshot: Snapshot | None = None) -> str:
    """Returns `metrics` in Prometheus' text format, with current readings or those of `snapshot`; omits empty ones."""
    lines = []
    for metric in metrics:
        if readings := metric.readings() if snapshot is None else snapshot[metric.name]:
            lines += [f"# HELP {metric.name} {metric.description}", f"# TYPE {metric.name} {metric.kind}"]
            for values, reading in sorted(readings.items()):
                lines += metric.lines(values, reading)
    return "\n".join(lines) + "\n"


def _label_pairs(labels: Labels, values: Labels) -> str:
    return ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(reading: float | Memory) -> str:
    value = float(reading)
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
