"""BatchingRunner: lets concurrent requests wait for each other. Its state lives on one event loop and needs no lock."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from serve.batching.execution import Outcome, run_batch
from serve.batching.observer import BatchingObserver, NullBatchingObserver
from serve.batching.parameters import BatchingParameters
from serve.batching.queue import Batch, BatchQueue
from serve.batching.request import Request
from serve.batching.tensors import check_rows, merge_key, row_count
from serve.execution.runner import DirectRunner
from serve.lifecycle.harness import Lease
from serve.loaded_model import LoadedModel
from tfx_export.savedmodel.signature import Signature

# Requests for the same signature and outputs of the same version wait in one queue.
_QueueKey: TypeAlias = tuple[LoadedModel, str, tuple[str, ...]]


class _Queue(BatchQueue[Request]):
    """A queue that knows what its batches run."""

    def __init__(self, parameters: BatchingParameters, signature: Signature, outputs: tuple[str, ...]) -> None:
        super().__init__(parameters)
        self.signature = signature
        self.outputs = outputs


class BatchingRunner:
    """Merges requests that come while others run. One that comes alone runs at once, as without batching.

    A request that is cancelled while it waits (its client has gone, its deadline has passed) leaves the queue.
    """

    def __init__(self, threads: BatchingParameters, observer: BatchingObserver | None = None) -> None:
        """`threads`: how many batches run at once, over all models, and the name of their threads."""
        self._unbatched = DirectRunner()
        self._workers = DirectRunner(threads.num_batch_threads, threads.thread_pool_name)
        self._threads = threads.num_batch_threads
        self._observer = observer or NullBatchingObserver()
        self._parameters: WeakKeyDictionary[LoadedModel, BatchingParameters] = WeakKeyDictionary()
        # Those in which something waits. The one served last is at the end.
        self._queues: dict[_QueueKey, _Queue] = {}
        self._busy = 0
        self._processing: set[asyncio.Task[None]] = set()
        self._dispatch_pending = False
        self._timer: asyncio.TimerHandle | None = None
        # Whether a request has been run in this turn of the event loop, and whether requests come in company: where
        # a run is so quick that it happens on the loop, those that came in the same turn would never meet otherwise.
        self._turn_taken = False
        self._crowded = False

    def batch(self, model: LoadedModel, parameters: BatchingParameters) -> None:
        """Merge the requests for `model` from now on. Without this, each is run by itself."""
        self._parameters[model] = parameters

    async def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Run the leased model, together with other requests.

        INVALID_ARGUMENT for inputs without a common first dimension or with too many rows, UNAVAILABLE if the queue is
        full, FAILED_PRECONDITION if an output has not the rows of the inputs.
        """
        parameters = self._parameters.get(lease.model)
        size = row_count(inputs) if parameters else 0
        if parameters is None or size == 0:
            return await self._unbatched.run(lease, signature, inputs, outputs)
        if self._may_run_at_once(parameters, size):
            return await self._run_alone(lease, signature, inputs, outputs, size)
        return await self._run_merged(lease, signature, inputs, tuple(outputs), size, parameters)

    def close(self) -> None:
        """Let running calls end and take no more."""
        self._workers.close()
        self._unbatched.close()

    def _may_run_at_once(self, parameters: BatchingParameters, size: int) -> bool:
        if self._queues or self._crowded or self._busy >= self._threads or parameters.batch_timeout_micros:
            return False
        if size > parameters.batch_limit or size != parameters.padded_size(size):
            return False
        if self._turn_taken:
            self._crowded = True
            return False
        self._turn_taken = True
        asyncio.get_running_loop().call_soon(self._end_turn)
        return True

    def _end_turn(self) -> None:
        self._turn_taken = False

    async def _run_alone(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str], size: int
    ) -> dict[str, np.ndarray]:
        self._observer.queued(lease.name, size, 0.0)
        self._observer.batch(lease.name, size, 0)
        self._busy += 1
        try:
            answer = await self._workers.run(lease, signature, inputs, outputs)
        finally:
            self._busy -= 1
            self._dispatch_soon()
        check_rows(answer, size)
        return answer

    async def _run_merged(
        self,
        lease: Lease,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        outputs: tuple[str, ...],
        size: int,
        parameters: BatchingParameters,
    ) -> dict[str, np.ndarray]:
        merging = merge_key(inputs, parameters.pad_variable_length_inputs)
        request = Request(lease, inputs, merging, size, asyncio.get_running_loop().create_future())
        key = (lease.model, signature.name, outputs)
        queue = self._queues.get(key) or _Queue(parameters, signature, outputs)
        queue.offer(request, request.arrived)
        self._queues[key] = queue
        self._observer.queue_length(lease.name, 1)
        self._dispatch_soon()
        try:
            return await request.answer
        finally:
            if request.parts:  # cancelled, or a part of it has failed
                queue.withdraw(request)
                self._observer.queue_length(lease.name, -1)
                if not queue.tasks:
                    self._queues.pop(key, None)

    def _dispatch_soon(self) -> None:
        """Dispatch at the end of this turn of the event loop: what else comes in it shall be in the batch."""
        if self._queues and not self._dispatch_pending:
            self._dispatch_pending = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Give the free workers what is ready, and come back when more is."""
        self._dispatch_pending = False
        loop = asyncio.get_running_loop()
        # Not the loop's time, which uvloop keeps in whole milliseconds.
        now = time.monotonic()
        started = 0
        while self._busy < self._threads and (taken := self._take(now)):
            queue, batch = taken
            started += len(batch.parts)
            self._busy += 1
            # The batch must outlive the leases of its requests, which may be cancelled.
            lease = next(iter(batch.parts)).task.lease.share()
            task = loop.create_task(self._process(lease, queue, batch, now))
            self._processing.add(task)
            task.add_done_callback(self._processing.discard)
        self._crowded = bool(self._queues) or started > 1
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._queues and self._busy < self._threads:
            ready_at = min(ready for queue in self._queues.values() if (ready := queue.ready_at()) is not None)
            self._timer = loop.call_later(ready_at - now, self._dispatch)

    def _take(self, now: float) -> tuple[_Queue, Batch[Request]] | None:
        """The next batch that is ready; the queues take turns."""
        for key, queue in self._queues.items():
            waiting = queue.tasks
            batch = queue.take(now)
            if batch is not None:
                del self._queues[key]
                if queue.tasks:
                    self._queues[key] = queue
                self._observer.queue_length(next(iter(batch.parts)).task.lease.name, queue.tasks - waiting)
                return queue, batch
        return None

    async def _process(self, lease: Lease, queue: _Queue, batch: Batch[Request], now: float) -> None:
        parts = list(batch.parts)
        requests = [part.task.rows(part.begin, part.end) for part in parts]
        sizes = [part.size for part in parts]
        for part in parts:
            if part.begin == 0:
                if part.task.waiting:
                    part.task.waiting.end()
                self._observer.queued(lease.name, part.task.size, now - part.task.arrived)
        self._observer.batch(lease.name, batch.size, queue.parameters.padded_size(batch.size) - batch.size)
        outcomes: Sequence[Outcome]
        try:
            outcomes = await self._workers.call(
                lease,
                queue.signature,
                sum(tensor.size for request in requests for tensor in request.values()),
                lambda: run_batch(lease.model, queue.signature.name, requests, sizes, queue.outputs, queue.parameters),
            )
        except Exception as error:
            outcomes = [error] * len(parts)
        finally:
            lease.release()
            self._busy -= 1
        for part, outcome in zip(parts, outcomes, strict=True):
            part.task.settle(part.begin, part.end, outcome)
        self._dispatch()
