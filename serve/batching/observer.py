"""Observer: what the operator can see of the batching. Called on the event loop; must be quick."""

from typing import Protocol


class BatchingObserver(Protocol):
    """Counts are per model name."""

    def queue_length(self, model: str, change: int) -> None:
        """So many requests more (or fewer) are waiting."""
        ...

    def queued(self, model: str, rows: int, seconds: float) -> None:
        """A request of `rows` rows has waited `seconds` and is about to run, with others or alone."""
        ...

    def batch(self, model: str, rows: int, padding: int) -> None:
        """A batch of `rows` rows from requests, and `padding` rows that belong to none, is about to run."""
        ...


class NullBatchingObserver:
    """Looks away."""

    def queue_length(self, model: str, change: int) -> None:
        pass

    def queued(self, model: str, rows: int, seconds: float) -> None:
        pass

    def batch(self, model: str, rows: int, padding: int) -> None:
        pass
