"""BatchedRequest: a request that waits in a queue, and its results so far."""

import asyncio
import time

import numpy as np

from serve.batching.queue import BatchTask
from serve.batching.run_batch import Outcome
from serve.batching.tensors import Tensors
from serve.errors import ServeError
from serve.lifecycle.harness import Lease
from serve.request import tracing


class BatchedRequest(BatchTask):
    """A request of a client. Its rows may run in several batches, which may end in any order."""

    __slots__ = ("_missing_rows", "_results", "arrived", "inputs", "lease", "outputs", "queue_span")

    def __init__(
        self, lease: Lease, inputs: Tensors, key: object, size: int, outputs: asyncio.Future[dict[str, np.ndarray]]
    ) -> None:
        """`outputs` is set when all rows have run, or when the first batch of them has failed."""
        super().__init__(key, size)
        self.lease = lease
        self.inputs = inputs
        self.outputs = outputs
        self.queue_span = tracing.start_span("queue") if tracing.tracer else None
        self.arrived = time.monotonic()
        self._missing_rows = size
        self._results: dict[int, dict[str, np.ndarray]] = {}

    def rows(self, begin: int, end: int) -> Tensors:
        if end - begin == self.size:
            return self.inputs
        return {name: tensor[begin:end] for name, tensor in self.inputs.items()}

    def add_result(self, begin: int, end: int, outcome: Outcome) -> None:
        """Adds the result of the rows `begin` to `end`."""
        if self.outputs.done():  # cancelled, or another batch has failed
            return
        if isinstance(outcome, ServeError):
            self.outputs.set_exception(ServeError(outcome.code, outcome.message))
        elif isinstance(outcome, Exception):
            self.outputs.set_exception(outcome)
        elif end - begin == self.size:
            self.outputs.set_result(outcome)
        else:
            self._results[begin] = outcome
            self._missing_rows -= end - begin
            if not self._missing_rows:
                results = [self._results[first] for first in sorted(self._results)]
                self.outputs.set_result(
                    {name: np.concatenate([result[name] for result in results]) for name in outcome}
                )
