"""Decides which settings to try: one parameter after another, each with the best values found so far.

The search does not measure and has no clock, so that tests can run it on functions.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TypeAlias

from tfx_export.load.generator import Measurement
from tfx_export.tuning.setting import Setting, Trial

# Yields the next setting to try, and is sent its measurement, or None if the server cannot run with the setting.
Search: TypeAlias = Generator[Setting, Measurement | None, None]

TIMEOUTS_MICROS = (500, 2000, 5000)
SMALLEST_BATCH = 4
# Settings within 5% of the best count as equal, because noise should not make requests wait.
TOLERANCE = 0.05


def search(engines: Sequence[str], cores: int, clients: int, max_p99: float | None = None) -> Search:
    """Tries engines without batching; then sizes, threads and timeouts on the best engine; then the other engines.

    `clients`: the number of requests in flight, each with one row; larger batches never fill. `max_p99`: as in `best`.
    """
    trials = _Trials(max_p99)
    for engine in engines:
        yield from trials.attempt(Setting(engine))
    if not trials.all:
        return
    engine = trials.top(batching=False).engine
    yield from _sizes(trials, Setting(engine, SMALLEST_BATCH, 0, cores), clients)
    if not trials.all[-1].setting.max_batch_size:  # the server cannot batch this model
        return
    for threads in sorted({1, 2 * cores} - {cores}):
        yield from trials.attempt(replace(trials.top(batching=True), threads=threads))
    settled = trials.top(batching=True)
    for timeout in TIMEOUTS_MICROS:
        yield from trials.attempt(replace(settled, timeout_micros=timeout))
    for other in engines:
        if other != engine:
            yield from trials.attempt(replace(trials.top(batching=True), engine=other))


def _sizes(trials: "_Trials", setting: Setting, clients: int) -> Search:
    """Doubles the batch size until that has failed to help twice."""
    declines = 0
    while setting.max_batch_size < 2 * max(clients, SMALLEST_BATCH) and declines < 2:
        yield from trials.attempt(setting)
        if trials.all[-1].setting != setting:
            return
        declines = 0 if trials.top(batching=True) == setting else declines + 1
        setting = replace(setting, max_batch_size=2 * setting.max_batch_size)


class _Trials:
    """The trials so far."""

    def __init__(self, max_p99: float | None) -> None:
        self.all: list[Trial] = []
        self._max_p99 = max_p99

    def attempt(self, setting: Setting) -> Search:
        measured = yield setting
        if measured is not None:
            self.all.append(Trial(setting, measured))

    def top(self, *, batching: bool) -> Setting:
        """Returns the best setting with, or without, batching."""
        trials = [trial for trial in self.all if bool(trial.setting.max_batch_size) is batching]
        return best(trials, self._max_p99, 0).setting


def best(trials: Sequence[Trial], max_p99: float | None = None, tolerance: float = TOLERANCE) -> Trial:
    """Returns the first trial, which is the simplest, with about the most requests/s.

    `max_p99`: trials with a higher p99 latency (in milliseconds) do not count. If all are higher, the lowest wins.
    """
    allowed = [trial for trial in trials if max_p99 is None or trial.measured.p99_ms <= max_p99]
    if not allowed:
        return min(trials, key=lambda trial: trial.measured.p99_ms)
    most = max(trial.measured.requests_per_second for trial in allowed)
    return next(trial for trial in allowed if trial.measured.requests_per_second >= most * (1 - tolerance))
