"""BatchingRunner: merges concurrent requests. Its state is used on one event loop only and needs no lock."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from serve.batching.batched_request import BatchedRequest
from serve.batching.observer import BatchingObserver, NullBatchingObserver
from serve.batching.parameters import BatchingParameters
from serve.batching.queue import Batch, BatchQueue
from serve.batching.run_batch import Outcome, run_batch
from serve.batching.tensors import check_rows, merge_key, row_count
from serve.execution.runner import DirectRunner
from serve.lifecycle.harness import Lease
from serve.loaded_model import LoadedModel
from tfx_export.savedmodel.signature import Signature

# Requests for the same signature and outputs of the same version wait in one queue.
_QueueKey: TypeAlias = tuple[LoadedModel, str, tuple[str, ...]]


class _SignatureQueue(BatchQueue[BatchedRequest]):
    """The queue of one signature and choice of outputs."""

    def __init__(self, parameters: BatchingParameters, signature: Signature, outputs: tuple[str, ...]) -> None:
        super().__init__(parameters)
        self.signature = signature
        self.outputs = outputs


class BatchingRunner:
    """Merges requests that arrive while others run. A request that arrives alone runs at once, as without batching.

    A request that is cancelled while it waits (client disconnected, deadline passed) is removed from the queue.
    """

    def __init__(self, threads: BatchingParameters, observer: BatchingObserver | None = None) -> None:
        """`threads`: how many batches run at the same time, over all models, and the name of their threads."""
        self._unbatched = DirectRunner()
        self._workers = DirectRunner(threads.num_batch_threads, threads.thread_pool_name)
        self._threads = threads.num_batch_threads
        self._observer = observer or NullBatchingObserver()
        self._parameters: WeakKeyDictionary[LoadedModel, BatchingParameters] = WeakKeyDictionary()
        # The queues that are not empty. The queue whose batch ran last is at the end.
        self._queues: dict[_QueueKey, _SignatureQueue] = {}
        self._running_batches = 0
        self._batch_tasks: set[asyncio.Task[None]] = set()
        self._dispatch_pending = False
        self._timer: asyncio.TimerHandle | None = None
        # Whether a request has run alone in this iteration of the event loop, and whether several requests arrived in
        # one of the last iterations. Fast models run on the event loop; without these two, requests that arrive in the
        # same iteration would run one after the other and never be merged.
        self._ran_alone = False
        self._recently_concurrent = False

    def batch(self, model: LoadedModel, parameters: BatchingParameters) -> None:
        """Merges the requests for `model` from now on. Without this, each request runs on its own."""
        self._parameters[model] = parameters

    async def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Runs the leased model, together with other requests.

        Raises INVALID_ARGUMENT for inputs without a common first dimension or with too many rows, UNAVAILABLE if the
        queue is full, FAILED_PRECONDITION if an output does not have as many rows as the inputs.
        """
        parameters = self._parameters.get(lease.model)
        size = row_count(inputs) if parameters else 0
        if parameters is None or size == 0:
            return await self._unbatched.run(lease, signature, inputs, outputs)
        if self._may_run_at_once(parameters, size):
            return await self._run_alone(lease, signature, inputs, outputs, size)
        return await self._run_merged(lease, signature, inputs, tuple(outputs), size, parameters)

    def close(self) -> None:
        """Lets running batches end and accepts no more."""
        self._workers.close()
        self._unbatched.close()

    def _may_run_at_once(self, parameters: BatchingParameters, size: int) -> bool:
        if (
            self._queues
            or self._recently_concurrent
            or self._running_batches >= self._threads
            or parameters.batch_timeout_micros
        ):
            return False
        if size > parameters.batch_limit or size != parameters.padded_size(size):
            return False
        if self._ran_alone:
            self._recently_concurrent = True
            return False
        self._ran_alone = True
        asyncio.get_running_loop().call_soon(self._end_iteration)
        return True

    def _end_iteration(self) -> None:
        self._ran_alone = False

    async def _run_alone(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str], size: int
    ) -> dict[str, np.ndarray]:
        self._observer.queued(lease.name, size, 0.0)
        self._observer.batch(lease.name, size, 0)
        self._running_batches += 1
        try:
            result = await self._workers.run(lease, signature, inputs, outputs)
        finally:
            self._running_batches -= 1
            self._dispatch_soon()
        check_rows(result, size)
        return result

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
        request = BatchedRequest(lease, inputs, merging, size, asyncio.get_running_loop().create_future())
        key = (lease.model, signature.name, outputs)
        queue = self._queues.get(key) or _SignatureQueue(parameters, signature, outputs)
        queue.offer(request, request.arrived)
        self._queues[key] = queue
        self._observer.queue_length(lease.name, 1)
        self._dispatch_soon()
        try:
            return await request.outputs
        finally:
            if request.slices:  # cancelled, or a batch with some of its rows has failed
                queue.withdraw(request)
                self._observer.queue_length(lease.name, -1)
                if not queue.tasks:
                    self._queues.pop(key, None)

    def _dispatch_soon(self) -> None:
        """Dispatches in the next iteration of the event loop, so that all requests of this one can be in the batch."""
        if self._queues and not self._dispatch_pending:
            self._dispatch_pending = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Starts the batches that are ready on the free threads, and sets a timer for the next batch."""
        self._dispatch_pending = False
        loop = asyncio.get_running_loop()
        # Not the event loop's time, which is in whole milliseconds with uvloop.
        now = time.monotonic()
        started = 0
        while self._running_batches < self._threads and (taken := self._take(now)):
            queue, batch = taken
            started += len(batch.slices)
            self._running_batches += 1
            # The batch needs its own lease, because its requests may be cancelled and release theirs.
            lease = next(iter(batch.slices)).task.lease.share()
            task = loop.create_task(self._run_batch(lease, queue, batch, now))
            self._batch_tasks.add(task)
            task.add_done_callback(self._batch_tasks.discard)
        self._recently_concurrent = bool(self._queues) or started > 1
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._queues and self._running_batches < self._threads:
            ready_at = min(ready for queue in self._queues.values() if (ready := queue.ready_at()) is not None)
            self._timer = loop.call_later(ready_at - now, self._dispatch)

    def _take(self, now: float) -> tuple[_SignatureQueue, Batch[BatchedRequest]] | None:
        """Removes and returns the next batch that is ready. The queues take turns."""
        for key, queue in self._queues.items():
            waiting = queue.tasks
            batch = queue.take(now)
            if batch is not None:
                del self._queues[key]
                if queue.tasks:
                    self._queues[key] = queue
                self._observer.queue_length(next(iter(batch.slices)).task.lease.name, queue.tasks - waiting)
                return queue, batch
        return None

    async def _run_batch(self, lease: Lease, queue: _SignatureQueue, batch: Batch[BatchedRequest], now: float) -> None:
        slices = list(batch.slices)
        requests = [piece.task.rows(piece.begin, piece.end) for piece in slices]
        sizes = [piece.size for piece in slices]
        for piece in slices:
            if piece.begin == 0:
                if piece.task.queue_span:
                    piece.task.queue_span.end()
                self._observer.queued(lease.name, piece.task.size, now - piece.task.arrived)
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
            outcomes = [error] * len(slices)
        finally:
            lease.release()
            self._running_batches -= 1
        for piece, outcome in zip(slices, outcomes, strict=True):
            piece.task.add_result(piece.begin, piece.end, outcome)
        self._dispatch()
