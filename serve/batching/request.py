"""Request: what waits in a queue, and the pieces of its answer."""

import asyncio
import time

import numpy as np

from serve.batching.execution import Outcome
from serve.batching.queue import Task
from serve.batching.tensors import Tensors
from serve.errors import ServeError
from serve.lifecycle.harness import Lease
from serve.request import tracing


class Request(Task):
    """One call of a client. Its rows may run in several batches, which may end in any order."""

    __slots__ = ("_missing", "_pieces", "answer", "arrived", "inputs", "lease", "waiting")

    def __init__(
        self, lease: Lease, inputs: Tensors, key: object, size: int, answer: asyncio.Future[dict[str, np.ndarray]]
    ) -> None:
        """`answer` is set when all rows have run, or the first of them has failed."""
        super().__init__(key, size)
        self.lease = lease
        self.inputs = inputs
        self.answer = answer
        self.waiting = tracing.start_span("queue") if tracing.tracer else None
        self.arrived = time.monotonic()
        self._missing = size
        self._pieces: dict[int, dict[str, np.ndarray]] = {}

    def rows(self, begin: int, end: int) -> Tensors:
        if end - begin == self.size:
            return self.inputs
        return {name: tensor[begin:end] for name, tensor in self.inputs.items()}

    def settle(self, begin: int, end: int, outcome: Outcome) -> None:
        """Take what became of the rows `begin` to `end`."""
        if self.answer.done():  # cancelled, or another piece has failed
            return
        if isinstance(outcome, ServeError):
            self.answer.set_exception(ServeError(outcome.code, outcome.message))
        elif isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        elif end - begin == self.size:
            self.answer.set_result(outcome)
        else:
            self._pieces[begin] = outcome
            self._missing -= end - begin
            if not self._missing:
                pieces = [self._pieces[first] for first in sorted(self._pieces)]
                self.answer.set_result({name: np.concatenate([piece[name] for piece in pieces]) for name in outcome})
