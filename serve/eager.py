"""Steps of a coroutine: what has to be set up around work that waits is set up only if it does."""

import types
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def eager(work: Awaitable[T], around: Callable[[], AbstractContextManager[Any]]) -> Generator[Any, Any, T]:
    """`with around(): return await work`, but `around` is called after the first step of `work`, unless that ended it.

    Most requests never wait: a deadline or a watch over them would cost more than it could ever do.
    """
    steps = work.__await__()
    try:
        waiting = steps.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    with around():
        try:
            while True:
                try:
                    value = yield waiting
                except BaseException as error:  # passed on into the work, as `await` would
                    waiting = steps.throw(error)
                else:
                    waiting = steps.send(value)
        except StopIteration as done:
            result = done.value
            return result


@types.coroutine
def next_turn() -> Generator[None, None, None]:
    """To be awaited: the rest follows in the event loop's next turn. As `asyncio.sleep(0)`, in fewer steps."""
    yield
