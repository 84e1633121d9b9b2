"""BatchingObserver: gets the measurements of batching. Its methods run on the event loop and must be fast."""

from typing import Protocol


class BatchingObserver(Protocol):
    """All measurements are for a model name."""

    def queue_length(self, model: str, change: int) -> None:
        """The number of waiting requests has changed by `change`."""
        ...

    def queued(self, model: str, rows: int, seconds: float) -> None:
        """A request with `rows` rows has waited `seconds` and is about to run."""
        ...

    def batch(self, model: str, rows: int, padding: int) -> None:
        """A batch with `rows` rows of requests and `padding` more rows is about to run."""
        ...


class NullBatchingObserver:
    """Does nothing."""

    def queue_length(self, model: str, change: int) -> None:
        pass

    def queued(self, model: str, rows: int, seconds: float) -> None:
        pass

    def batch(self, model: str, rows: int, padding: int) -> None:
        pass
