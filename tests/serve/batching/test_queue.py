"""Which tasks are merged, and when: each case is a list of arrivals and the resulting batches."""

from collections.abc import Sequence

import pytest

from serve.batching.parameters import BatchingParameters
from serve.batching.queue import BatchQueue, BatchTask
from serve.errors import Code, ServeError

MERGING = BatchingParameters(max_batch_size=4, max_enqueued_batches=3)
WAITING = BatchingParameters(max_batch_size=4, max_enqueued_batches=3, batch_timeout_micros=5_000_000)
SPLITTING = BatchingParameters(
    max_batch_size=10,
    max_enqueued_batches=3,
    batch_timeout_micros=5_000_000,
    enable_large_batch_splitting=True,
    max_execution_batch_size=4,
)


class Named(BatchTask):
    """A task with a name: `a3` has 3 rows and the key `a`."""

    def __init__(self, name: str) -> None:
        super().__init__(name[0], int(name[1:].rstrip("'")))
        self.name = name


def filled(parameters: BatchingParameters, arrivals: Sequence[tuple[float, str]]) -> BatchQueue[Named]:
    queue: BatchQueue[Named] = BatchQueue(parameters)
    for now, name in arrivals:
        queue.offer(Named(name), now)
    return queue


def drained(queue: BatchQueue[Named], now: float) -> list[str]:
    """Returns the batches that are ready at `now`, as `a3+a1`; a slice of a task is `a9[0:4]`."""
    batches = []
    while batch := queue.take(now):
        assert batch.size == sum(piece.size for piece in batch.slices)
        batches.append(
            "+".join(
                piece.task.name if piece.size == piece.task.size else f"{piece.task.name}[{piece.begin}:{piece.end}]"
                for piece in batch.slices
            )
        )
    return batches


@pytest.mark.parametrize(
    ("parameters", "arrivals", "now", "batches"),
    [
        pytest.param(MERGING, [], 0, [], id="nothing"),
        pytest.param(MERGING, [(0, "a1")], 0, ["a1"], id="without timeout, one is ready at once"),
        pytest.param(MERGING, [(0, "a1"), (0, "a2")], 0, ["a1+a2"], id="waiting tasks are merged"),
        pytest.param(
            MERGING, [(0, "a3"), (0, "a2")], 0, ["a3", "a2"], id="a task that does not fit begins the next batch"
        ),
        pytest.param(MERGING, [(0, "a1"), (0, "b1"), (0, "a1'")], 0, ["a1+a1'", "b1"], id="only equal keys are merged"),
        pytest.param(WAITING, [(0, "a1"), (3, "a1'")], 4.9, [], id="not full and not due"),
        pytest.param(WAITING, [(0, "a1"), (3, "a1'")], 5, ["a1+a1'"], id="due by its first task"),
        pytest.param(WAITING, [(0, "a2"), (1, "a2'")], 1, ["a2+a2'"], id="full is ready at once"),
        pytest.param(WAITING, [(0, "a4")], 0, ["a4"], id="full from the first task"),
        pytest.param(WAITING, [(0, "a3"), (1, "a2")], 1, ["a3"], id="closed by a task that does not fit"),
        pytest.param(WAITING, [(0, "a3"), (1, "a2")], 6, ["a3", "a2"], id="the next batch has its own timeout"),
        pytest.param(WAITING, [(0, "a1"), (1, "b4"), (2, "a1'")], 2, ["b4"], id="a full batch overtakes"),
        pytest.param(WAITING, [(0, "a1"), (1, "b4")], 5, ["a1", "b4"], id="the oldest ready batch first"),
        pytest.param(SPLITTING, [(0, "a10")], 0, ["a10[0:4]", "a10[4:8]"], id="split: the rest stays open"),
        pytest.param(SPLITTING, [(0, "a10")], 5, ["a10[0:4]", "a10[4:8]", "a10[8:10]"], id="split: due later"),
        pytest.param(SPLITTING, [(0, "a1"), (1, "a5")], 1, ["a1+a5[0:3]"], id="split: fills the open batch"),
        pytest.param(SPLITTING, [(0, "a1"), (1, "a5")], 6, ["a1+a5[0:3]", "a5[3:5]"], id="split: the rest is due"),
        pytest.param(SPLITTING, [(0, "a3"), (0, "b2"), (0, "a1")], 0, ["a3+a1"], id="split: keys are not merged"),
    ],
)
def test_batches(
    parameters: BatchingParameters, arrivals: list[tuple[float, str]], now: float, batches: list[str]
) -> None:
    assert drained(filled(parameters, arrivals), now) == batches


@pytest.mark.parametrize(
    ("parameters", "arrivals", "name", "code", "message"),
    [
        pytest.param(
            MERGING,
            [],
            "a5",
            Code.INVALID_ARGUMENT,
            "Task size 5 is larger than maximum input batch size 4",
            id="larger than any batch",
        ),
        pytest.param(
            SPLITTING,
            [],
            "a11",
            Code.INVALID_ARGUMENT,
            "Task size 11 is larger than maximum input batch size 10",
            id="larger than the largest task to split",
        ),
        pytest.param(
            MERGING,
            [(0, "a4"), (0, "a4"), (0, "a3")],
            "a2",
            Code.UNAVAILABLE,
            "The batch scheduling queue to which this task was submitted is full; currently 3 batches enqueued and "
            "max_enqueued_batches is 3",
            id="full",
        ),
        pytest.param(
            MERGING,
            [(0, "a1"), (0, "b1"), (0, "c1")],
            "d1",
            Code.UNAVAILABLE,
            "full; currently 3 batches enqueued",
            id="full of different shapes",
        ),
        pytest.param(
            SPLITTING,
            [(0, "a9")],
            "a4",
            Code.UNAVAILABLE,
            "full; task size is 4 but scheduling capacity is only 3 (num_enqueued_batches=3, max_enqueued_batches=3, "
            "open_batch_size=1, max_execution_batch_size=4)",
            id="full for a task that would be split",
        ),
    ],
)
def test_task_is_refused(
    parameters: BatchingParameters, arrivals: list[tuple[float, str]], name: str, code: Code, message: str
) -> None:
    queue = filled(parameters, arrivals)
    with pytest.raises(ServeError) as caught:
        queue.offer(Named(name), 0)
    assert caught.value.code is code
    assert message in caught.value.message
    assert queue.tasks == len(arrivals)


def test_full_queue_accepts_tasks_that_fit_into_an_open_batch() -> None:
    queue = filled(MERGING, [(0, "a4"), (0, "a4"), (0, "a3")])
    queue.offer(Named("a1"), 0)
    assert queue.take(0)
    queue.offer(Named("a4"), 0)


@pytest.mark.parametrize(
    ("parameters", "arrivals", "ready_at"),
    [
        (MERGING, [], None),
        (MERGING, [(2, "a1")], 2),
        (WAITING, [(2, "a1"), (3, "b1")], 7),
        (WAITING, [(2, "a4"), (3, "b1")], 2),
    ],
)
def test_ready_at(parameters: BatchingParameters, arrivals: list[tuple[float, str]], ready_at: float | None) -> None:
    assert filled(parameters, arrivals).ready_at() == ready_at


def test_withdrawn_task_makes_room() -> None:
    queue = filled(WAITING, [(0, "a1")])
    withdrawn = Named("a2")
    queue.offer(withdrawn, 1)
    queue.withdraw(withdrawn)
    queue.offer(Named("a3"), 2)
    assert drained(queue, 2) == ["a1+a3"]


def test_batch_without_tasks_is_removed() -> None:
    queue = filled(WAITING, [])
    withdrawn = Named("a3")
    queue.offer(withdrawn, 0)
    queue.withdraw(withdrawn)
    assert queue.ready_at() is None
    assert queue.tasks == 0
    queue.offer(Named("a2"), 4)
    assert queue.ready_at() == 9


def test_withdrawn_split_task_leaves_all_batches() -> None:
    queue = filled(SPLITTING, [(0, "a1")])
    withdrawn = Named("a8")
    queue.offer(withdrawn, 0)
    queue.offer(Named("a2"), 0)
    assert queue.take(0)
    queue.withdraw(withdrawn)
    assert queue.tasks == 1
    assert drained(queue, 5) == ["a2"]


def test_task_counts_as_waiting_until_its_last_slice_is_taken() -> None:
    queue = filled(SPLITTING, [(0, "a6")])
    assert queue.take(0)
    assert queue.tasks == 1
    assert queue.take(5)
    assert queue.tasks == 0
