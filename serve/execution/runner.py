"""Runner: calls a model without blocking the event loop, and without a thread hop where the hop would cost more."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar
from weakref import ref

import numpy as np

from serve.execution.thread_time import ThreadTimer
from serve.lifecycle.harness import Lease
from serve.loaded_model import LoadedModel
from tfx_export.savedmodel.signature import Signature

# A run below this many seconds is cheaper on the event loop's own thread than handed over (a hop costs some 60 us).
QUICK_SECONDS = 0.0005
# A run that takes longer was slow whatever else the machine does.
SLOW_SECONDS = 0.03
# So many quick runs in a row, off the loop, before the first one on it.
PROBATION = 5
# So many slow runs in a row before it is run off the loop again, and so many more quick ones before it may come back:
# the first time, and at the most.
PATIENCE = 8
RELEGATION, MAX_RELEGATION = 100, 100_000

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

    __slots__ = ("_doubtful", "_elements", "_exile", "_quick_runs", "_slow_runs", "quick_elements")

    def __init__(self) -> None:
        # The most elements on which it is quick; -1 while it is not.
        self.quick_elements = -1
        self._quick_runs = 0
        self._slow_runs = 0
        self._elements = 0
        # Quick runs before it may come back to the loop, once it has been slow there.
        self._exile = RELEGATION
        # Whether the last run was long on the wall's clock, and nothing else is known of it.
        self._doubtful = False

    def on_the_loop(self, elements: int, function: Callable[..., R], *arguments: Any) -> R:
        """Call `function` here, and remember how long it took."""
        # What a quick run takes is not worth asking the kernel for.
        watch = ThreadTimer() if self._doubtful else None
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds = watch.seconds() if watch else time.perf_counter() - began
            long = seconds > QUICK_SECONDS
            if watch or (not long and self._slow_runs):
                self._record(elements, seconds)
            self._doubtful = long

    def in_the_pool(self, elements: int, function: Callable[..., R], *arguments: Any) -> R:
        """The same in another thread, which also waits for the interpreter's lock: on the loop it would not."""
        watch = ThreadTimer()
        try:
            return function(*arguments)
        finally:
            seconds = watch.seconds()
            self._record(elements, seconds if seconds > SLOW_SECONDS else watch.cpu_seconds())

    def _record(self, elements: int, seconds: float) -> None:
        self._weigh(elements, seconds)
        self.quick_elements = self._elements if self._quick_runs >= PROBATION else -1

    def _weigh(self, elements: int, seconds: float) -> None:
        if seconds <= QUICK_SECONDS:
            self._quick_runs += 1
            self._slow_runs = 0
            self._elements = max(self._elements, elements)
            return
        if self._quick_runs >= PROBATION and elements > self._elements:
            return  # larger than any that was quick: it tells nothing of those that are run on the loop
        # One slow run among quick ones was the machine's doing, unless it was slower than that explains.
        self._slow_runs += PATIENCE if seconds > SLOW_SECONDS else 1
        if self._slow_runs >= PATIENCE:
            if self._quick_runs >= PROBATION:
                self._quick_runs = -self._exile
                # What waits for something else than the processor seems quick in the pool: tried ever more rarely.
                self._exile = min(2 * self._exile, MAX_RELEGATION)
            self._quick_runs = min(self._quick_runs, 0)
            self._elements = min(self._elements, elements // 2)


class DirectRunner:
    """One run a request: on the event loop if the signature is known to be quick for such inputs, else in a pool."""

    def __init__(self, threads: int = 0, name: str = "run") -> None:
        """`threads`: how many runs may block at once; 0 chooses by the number of CPUs. `name`: what they are called."""
        self._pool = ThreadPoolExecutor(threads or 4 * (os.cpu_count() or 1), thread_name_prefix=name)
        self._paces: dict[tuple[ref[LoadedModel], str], _Pace] = {}

    def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> Coroutine[Any, Any, dict[str, np.ndarray]]:
        elements = 0
        for array in inputs.values():
            elements += array.size
        return self.call(lease, signature, elements, lease.model.run, signature.name, inputs, outputs)

    async def call(
        self, lease: Lease, signature: Signature, elements: int, function: Callable[..., R], *arguments: Any
    ) -> R:
        """`function(*arguments)`, which runs `signature` of the leased model on inputs of so many `elements`."""
        pace = self._paces.get((ref(lease.model), signature.name)) or self._new_pace(lease.model, signature.name)
        if elements <= pace.quick_elements:
            return pace.on_the_loop(elements, function, *arguments)
        # A client may cancel and its lease end while the model still runs: this one lasts as long as the run.
        held = lease.share()
        future = self._pool.submit(pace.in_the_pool, elements, function, *arguments)
        future.add_done_callback(lambda _: held.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let running calls end and take no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _new_pace(self, model: LoadedModel, signature: str) -> _Pace:
        for key in [key for key in self._paces if key[0]() is None]:
            del self._paces[key]
        return self._paces.setdefault((ref(model), signature), _Pace())
