"""BatchQueue: decides which waiting requests run together, and when. The caller provides the clock and the threads."""

from collections import deque
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from serve.batching.parameters import BatchingParameters
from serve.errors import Code, ServeError


class BatchTask:
    """The rows of one request."""

    __slots__ = ("key", "size", "slices")

    def __init__(self, key: Hashable, size: int) -> None:
        """`key`: only tasks with equal keys are merged. `size`: the number of rows, at least 1."""
        self.key = key
        self.size = size
        # The slices that still wait: one, or several if the task was split.
        self.slices: list[TaskSlice[Any]] = []


T = TypeVar("T", bound=BatchTask)


class TaskSlice(Generic[T]):
    """Rows `begin` to `end` of a task, in one batch."""

    __slots__ = ("batch", "begin", "end", "task")

    def __init__(self, task: T, begin: int, end: int, batch: "Batch[T]") -> None:
        self.task = task
        self.begin = begin
        self.end = end
        self.batch = batch

    @property
    def size(self) -> int:
        return self.end - self.begin


class Batch(Generic[T]):
    """Slices that will run together. `start`: the time when the first of them arrived."""

    __slots__ = ("key", "size", "slices", "start")

    def __init__(self, key: Hashable, start: float) -> None:
        self.key = key
        self.start = start
        self.size = 0
        # A dict for its order and for removal from the middle.
        self.slices: dict[TaskSlice[T], None] = {}


class BatchQueue(Generic[T]):
    """The tasks that wait for one signature and choice of outputs. Times are in seconds, of one clock.

    At most one batch of each key is open, which means that it takes more tasks. It is ready `batch_timeout_micros`
    after its first task arrived. A batch is closed, and ready at once, when it is full or the next task does not fit.
    """

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self.tasks = 0
        self._closed: deque[Batch[T]] = deque()
        # By key, oldest first.
        self._open: dict[Hashable, Batch[T]] = {}

    def offer(self, task: T, now: float) -> None:
        """Adds `task`. Raises INVALID_ARGUMENT if it is too large, UNAVAILABLE if the queue is full."""
        limit = self.parameters.batch_limit
        self._check_capacity(task)
        if not self.parameters.enable_large_batch_splitting:
            batch = self._open.get(task.key)
            if batch and batch.size + task.size > limit:
                self._close(batch)
        begin = 0
        while begin < task.size:
            batch = self._open.get(task.key)
            if batch is None:
                batch = self._open[task.key] = Batch(task.key, now)
            piece = TaskSlice(task, begin, min(task.size, begin + limit - batch.size), batch)
            task.slices.append(piece)
            batch.slices[piece] = None
            batch.size += piece.size
            begin = piece.end
            if batch.size == limit:
                self._close(batch)
        self.tasks += 1

    def withdraw(self, task: T) -> None:
        """Removes the rows of `task` that still wait."""
        waiting = len(task.slices)
        for piece in task.slices:
            batch = piece.batch
            del batch.slices[piece]
            batch.size -= piece.size
            if not batch.slices:
                self._remove(batch)
        task.slices.clear()
        self.tasks -= waiting > 0

    def take(self, now: float) -> Batch[T] | None:
        """Removes and returns the oldest batch that is ready."""
        batch = next(iter(self._open.values()), None)
        if batch is None or batch.start + self.parameters.timeout_seconds > now:
            batch = self._closed[0] if self._closed else None
        elif self._closed and self._closed[0].start <= batch.start:
            batch = self._closed[0]
        if batch is None:
            return None
        self._remove(batch)
        for piece in batch.slices:
            piece.task.slices.remove(piece)
            self.tasks -= not piece.task.slices
        return batch

    def ready_at(self) -> float | None:
        """Returns the time when the next batch is ready; None if no task waits."""
        if self._closed:
            return self._closed[0].start
        batch = next(iter(self._open.values()), None)
        return batch.start + self.parameters.timeout_seconds if batch else None

    def _check_capacity(self, task: T) -> None:
        parameters = self.parameters
        if task.size > parameters.max_batch_size:
            raise ServeError(
                Code.INVALID_ARGUMENT,
                f"Task size {task.size} is larger than maximum input batch size {parameters.max_batch_size}",
            )
        limit = parameters.batch_limit
        enqueued = len(self._closed) + len(self._open)
        batch = self._open.get(task.key)
        room = limit - batch.size if batch else 0
        full = "The batch scheduling queue to which this task was submitted is full; "
        if parameters.enable_large_batch_splitting:
            capacity = (parameters.max_enqueued_batches - enqueued) * limit + room
            if task.size > capacity:
                raise ServeError(
                    Code.UNAVAILABLE,
                    f"{full}task size is {task.size} but scheduling capacity is only {capacity} "
                    f"(num_enqueued_batches={enqueued}, max_enqueued_batches={parameters.max_enqueued_batches}, "
                    f"open_batch_size={batch.size if batch else 0}, max_execution_batch_size={limit})",
                )
        elif task.size > room and enqueued >= parameters.max_enqueued_batches:
            raise ServeError(
                Code.UNAVAILABLE,
                f"{full}currently {enqueued} batches enqueued and max_enqueued_batches is "
                f"{parameters.max_enqueued_batches}",
            )

    def _close(self, batch: Batch[T]) -> None:
        del self._open[batch.key]
        self._closed.append(batch)

    def _remove(self, batch: Batch[T]) -> None:
        if self._open.get(batch.key) is batch:
            del self._open[batch.key]
        else:
            self._closed.remove(batch)
