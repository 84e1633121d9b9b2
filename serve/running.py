"""Runner: calls a model without blocking the event loop, and without a thread hop where the hop would cost more."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar
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

    async def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Run the leased model. Raises ServeError."""
        ...

    def close(self) -> None:
        """Let running calls end and take no more."""
        ...


class _Pace:
    """How quick one signature has been lately, and on how many elements."""

    __slots__ = ("elements", "quick_runs", "slow_runs")

    def __init__(self) -> None:
        self.quick_runs = 0
        self.slow_runs = 0
        self.elements = 0

    def is_quick(self, elements: int) -> bool:
        return self.quick_runs >= PROBATION and elements <= self.elements

    def record(self, elements: int, seconds: float) -> None:
        if seconds <= QUICK_SECONDS:
            self.quick_runs += 1
            self.slow_runs = 0
            self.elements = max(self.elements, elements)
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

    async def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        elements = sum(array.size for array in inputs.values())
        return await self.call(lease, signature, elements, lambda: lease.model.run(signature.name, inputs, outputs))

    async def call(self, lease: Lease, signature: Signature, elements: int, function: Callable[[], R]) -> R:
        """Call `function`, which runs `signature` of the leased model on inputs of so many `elements`."""
        pace = self._paces.setdefault(lease.model, {}).setdefault(signature.name, _Pace())

        def run() -> R:
            watch = Stopwatch()
            try:
                return function()
            finally:
                pace.record(elements, watch.seconds())

        if pace.is_quick(elements):
            return run()
        # A client may cancel and its lease end while the model still runs: this one lasts as long as the run.
        held = lease.share()
        future = self._pool.submit(run)
        future.add_done_callback(lambda _: held.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let running calls end and take no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
