"""Runner: calls a model without blocking the event loop, on the loop's own thread where that is cheaper."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar
from weakref import ref

import numpy as np

from serve.execution.latency_tracker import LatencyTracker
from serve.lifecycle.harness import Lease
from serve.loaded_model import LoadedModel
from tfx_export.savedmodel.signature import Signature

R = TypeVar("R")


class Runner(Protocol):
    """Runs models for the API: one run per request (DirectRunner) or merged requests (BatchingRunner)."""

    def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> Coroutine[Any, Any, dict[str, np.ndarray]]:
        """Runs the leased model. Raises ServeError."""
        ...

    def close(self) -> None:
        """Lets running calls finish and accepts no more."""
        ...


class DirectRunner:
    """One run per request: on the event loop if the signature is quick for inputs of this size, else in a pool."""

    def __init__(self, threads: int = 0, name: str = "run") -> None:
        """`threads`: how many runs may block at once; 0 stands for four per CPU. `name`: prefix of the thread names."""
        self._pool = ThreadPoolExecutor(threads or 4 * (os.cpu_count() or 1), thread_name_prefix=name)
        self._trackers: dict[tuple[ref[LoadedModel], str], LatencyTracker] = {}

    def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> Coroutine[Any, Any, dict[str, np.ndarray]]:
        """Runs the leased model on `inputs`. Raises ServeError."""
        elements = 0
        for array in inputs.values():
            elements += array.size
        return self.call(lease, signature, elements, lease.model.run, signature.name, inputs, outputs)

    async def call(
        self, lease: Lease, signature: Signature, elements: int, function: Callable[..., R], *arguments: Any
    ) -> R:
        """Calls `function(*arguments)`, which runs `signature` of the leased model on inputs of `elements` elements."""
        tracker = self._trackers.get((ref(lease.model), signature.name)) or self._track(lease.model, signature.name)
        if elements <= tracker.quick_elements:
            return tracker.run_on_loop(elements, function, *arguments)
        # The client may cancel, and its lease end, while the model still runs: this lease lasts as long as the run.
        run_lease = lease.share()
        future = self._pool.submit(tracker.run_in_pool, elements, function, *arguments)
        future.add_done_callback(lambda _: run_lease.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Lets running calls finish and accepts no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _track(self, model: LoadedModel, signature: str) -> LatencyTracker:
        for key in [key for key in self._trackers if key[0]() is None]:
            del self._trackers[key]
        return self._trackers.setdefault((ref(model), signature), LatencyTracker())
