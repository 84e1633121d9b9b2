"""BatchQueue: which waiting requests go together, and when. Pure: the caller brings the clock and the threads."""

from collections import deque
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from serve.batching.parameters import BatchingParameters
from serve.errors import Code, ServeError


class Task:
    """Rows that arrived together and are answered together."""

    __slots__ = ("key", "parts", "size")

    def __init__(self, key: Hashable, size: int) -> None:
        """`key`: tasks are merged only with those of an equal one. `size`: rows, at least one."""
        self.key = key
        self.size = size
        # Where the rows are waiting: one part, or several if the task was split.
        self.parts: list[Part[Any]] = []


T = TypeVar("T", bound=Task)


class Part(Generic[T]):
    """Rows `begin` to `end` of a task, as a piece of one batch."""

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
    """Parts that will run together, and the time the first of them came."""

    __slots__ = ("key", "parts", "size", "start")

    def __init__(self, key: Hashable, start: float) -> None:
        self.key = key
        self.start = start
        self.size = 0
        # A dict for its order and for removal from the middle.
        self.parts: dict[Part[T], None] = {}


class BatchQueue(Generic[T]):
    """The tasks that wait for one signature and choice of outputs. Times are seconds of any one clock.

    At most one batch of each key is open, that is: has room; it is ready `batch_timeout_micros` after its first
    task. A batch is closed, and ready at once, when it is full or when the next task does not fit.
    """

    def __init__(self, parameters: BatchingParameters) -> None:
        self.parameters = parameters
        self.tasks = 0
        self._closed: deque[Batch[T]] = deque()
        # By key, the oldest first.
        self._open: dict[Hashable, Batch[T]] = {}

    def offer(self, task: T, now: float) -> None:
        """Take `task` in. INVALID_ARGUMENT if it is too large, UNAVAILABLE if the queue is full."""
        limit = self.parameters.batch_limit
        self._check_room(task)
        if not self.parameters.enable_large_batch_splitting:
            batch = self._open.get(task.key)
            if batch and batch.size + task.size > limit:
                self._close(batch)
        begin = 0
        while begin < task.size:
            batch = self._open.get(task.key)
            if batch is None:
                batch = self._open[task.key] = Batch(task.key, now)
            part = Part(task, begin, min(task.size, begin + limit - batch.size), batch)
            task.parts.append(part)
            batch.parts[part] = None
            batch.size += part.size
            begin = part.end
            if batch.size == limit:
                self._close(batch)
        self.tasks += 1

    def withdraw(self, task: T) -> None:
        """Forget the rows of `task` that still wait."""
        waiting = len(task.parts)
        for part in task.parts:
            batch = part.batch
            del batch.parts[part]
            batch.size -= part.size
            if not batch.parts:
                self._remove(batch)
        task.parts.clear()
        self.tasks -= waiting > 0

    def take(self, now: float) -> Batch[T] | None:
        """Remove and return the oldest batch that is ready."""
        batch = next(iter(self._open.values()), None)
        if batch is None or batch.start + self.parameters.timeout_seconds > now:
            batch = self._closed[0] if self._closed else None
        elif self._closed and self._closed[0].start <= batch.start:
            batch = self._closed[0]
        if batch is None:
            return None
        self._remove(batch)
        for part in batch.parts:
            part.task.parts.remove(part)
            self.tasks -= not part.task.parts
        return batch

    def ready_at(self) -> float | None:
        """The time from which `take` returns a batch; None if nothing waits."""
        if self._closed:
            return self._closed[0].start
        batch = next(iter(self._open.values()), None)
        return batch.start + self.parameters.timeout_seconds if batch else None

    def _check_room(self, task: T) -> None:
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
