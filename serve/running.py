"""Runner: calls a model without blocking the event loop, and without a thread hop where the hop would cost more."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from serve.engines import LoadedModel
from serve.lifecycle.lease import Lease
from serve.stopwatch import Stopwatch
from tfx_export.savedmodel.signature import Signature

# A run below this many seconds is cheaper on the event loop's own thread than handed over (a hop costs some 60 us).
QUICK_SECONDS = 0.0005
# A run that takes longer was slow whatever else the machine does.
SLOW_SECONDS = 0.03
# So many quick runs in a row, off the loop, before the first one on it.
PROBATION = 5
# So many slow runs in a row before it is run off the loop again, and so many more quick ones before it may come back.
PATIENCE = 8
RELEGATION = 100

R = TypeVar("R")


class Runner(Protocol):
    """What stands between the API and the model: directly, or through the merge of concurrent requests."""

    def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> Coroutine[Any, Any, dict[str, np.ndarray]]:
        """Run the leased model. Raises ServeError."""
        ...

    def close(self) -> None:
        """Let running calls end and take no more."""
        ...


class _Pace:
    """How quick one signature has been lately, and on how many elements."""

    __slots__ = ("_doubtful", "elements", "quick_runs", "slow_runs")

    def __init__(self) -> None:
        self.quick_runs = 0
        self.slow_runs = 0
        self.elements = 0
        # Whether the last run was long on the wall's clock, and nothing else is known of it.
        self._doubtful = False

    def is_quick(self, elements: int) -> bool:
        return self.quick_runs >= PROBATION and elements <= self.elements

    def timed(self, elements: int, function: Callable[[], R]) -> R:
        """Call `function`, and remember how long it took."""
        # What a quick run takes is not worth asking the kernel for.
        watch = Stopwatch(exact=self._doubtful or self.slow_runs > 0)
        try:
            return function()
        finally:
            self._record(elements, watch.seconds(), watch.exact)

    def _record(self, elements: int, seconds: float, exact: bool) -> None:
        self._doubtful = False
        if seconds <= QUICK_SECONDS:
            self.quick_runs += 1
            self.slow_runs = 0
            self.elements = max(self.elements, elements)
            return
        if not exact and seconds <= SLOW_SECONDS:
            self._doubtful = True
            return
        # One slow run among quick ones was the machine's doing, unless it was slower than that explains.
        self.slow_runs += PATIENCE if seconds > SLOW_SECONDS else 1
        if self.slow_runs >= PATIENCE:
            self.quick_runs = -RELEGATION if self.quick_runs >= PROBATION else min(self.quick_runs, 0)
            self.elements = min(self.elements, elements // 2)


class DirectRunner:
    """One run a request: on the event loop if the signature is known to be quick for such inputs, else in a pool."""

    def __init__(self, threads: int = 0, name: str = "run") -> None:
        """`threads`: how many runs may block at once; 0 chooses by the number of CPUs. `name`: what they are called."""
        self._pool = ThreadPoolExecutor(threads or 4 * (os.cpu_count() or 1), thread_name_prefix=name)
        self._paces: WeakKeyDictionary[LoadedModel, dict[str, _Pace]] = WeakKeyDictionary()

    def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> Coroutine[Any, Any, dict[str, np.ndarray]]:
        elements = sum([array.size for array in inputs.values()])
        return self.call(lease, signature, elements, partial(lease.model.run, signature.name, inputs, outputs))

    async def call(self, lease: Lease, signature: Signature, elements: int, function: Callable[[], R]) -> R:
        """Call `function`, which runs `signature` of the leased model on inputs of so many `elements`."""
        pace = self._pace(lease.model, signature.name)
        if pace.is_quick(elements):
            return pace.timed(elements, function)
        # A client may cancel and its lease end while the model still runs: this one lasts as long as the run.
        held = lease.share()
        future = self._pool.submit(pace.timed, elements, function)
        future.add_done_callback(lambda _: held.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let running calls end and take no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _pace(self, model: LoadedModel, signature: str) -> _Pace:
        try:
            return self._paces[model][signature]
        except KeyError:
            return self._paces.setdefault(model, {}).setdefault(signature, _Pace())
