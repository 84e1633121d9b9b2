"""Which settings to try: one question after the other, each at the best answer to those before. Knows no clock."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TypeAlias

from tfx_export.load.generator import Measurement
from tfx_export.tuning.setting import Setting, Trial

# Yields what to try next, is sent what was measured; None: the server could not be run that way.
Search: TypeAlias = Generator[Setting, Measurement | None, None]

TIMEOUTS_MICROS = (500, 2000, 5000)
SMALLEST_BATCH = 4
# Settings this near to the best are as good: noise is no reason to make a request wait.
TOLERANCE = 0.05


def search(engines: Sequence[str], cores: int, clients: int, max_p99: float | None = None) -> Search:
    """Engines without batching; then, on the best, batch sizes, threads and timeouts; at last the other engines.

    `clients`: requests in flight, each of one row; larger batches never fill. `max_p99`: as in `best`.
    """
    notes = _Notes(max_p99)
    for engine in engines:
        yield from notes.attempt(Setting(engine))
    if not notes.trials:
        return
    engine = notes.top(batching=False).engine
    yield from _sizes(notes, Setting(engine, SMALLEST_BATCH, 0, cores), clients)
    if not notes.trials[-1].setting.max_batch_size:  # the server cannot batch this model
        return
    for threads in sorted({1, 2 * cores} - {cores}):
        yield from notes.attempt(replace(notes.top(batching=True), threads=threads))
    settled = notes.top(batching=True)
    for timeout in TIMEOUTS_MICROS:
        yield from notes.attempt(replace(settled, timeout_micros=timeout))
    for other in engines:
        if other != engine:
            yield from notes.attempt(replace(notes.top(batching=True), engine=other))


def _sizes(notes: "_Notes", setting: Setting, clients: int) -> Search:
    """Double the batch size until it has not helped twice."""
    declines = 0
    while setting.max_batch_size < 2 * max(clients, SMALLEST_BATCH) and declines < 2:
        yield from notes.attempt(setting)
        if notes.trials[-1].setting != setting:
            return
        declines = 0 if notes.top(batching=True) == setting else declines + 1
        setting = replace(setting, max_batch_size=2 * setting.max_batch_size)


class _Notes:
    """What has been tried so far."""

    def __init__(self, max_p99: float | None) -> None:
        self.trials: list[Trial] = []
        self._max_p99 = max_p99

    def attempt(self, setting: Setting) -> Search:
        measured = yield setting
        if measured is not None:
            self.trials.append(Trial(setting, measured))

    def top(self, *, batching: bool) -> Setting:
        """The best setting with, or without, batching."""
        trials = [trial for trial in self.trials if bool(trial.setting.max_batch_size) is batching]
        return best(trials, self._max_p99, 0).setting


def best(trials: Sequence[Trial], max_p99: float | None = None, tolerance: float = TOLERANCE) -> Trial:
    """The trial with the most requests/s, or the earliest one (which is the simplest) that is as good.

    `max_p99`: only those below so many milliseconds count; if there are none, the one that comes nearest.
    """
    allowed = [trial for trial in trials if max_p99 is None or trial.measured.p99_ms <= max_p99]
    if not allowed:
        return min(trials, key=lambda trial: trial.measured.p99_ms)
    most = max(trial.measured.requests_per_second for trial in allowed)
    return next(trial for trial in allowed if trial.measured.requests_per_second >= most * (1 - tolerance))
