"""Harness: the state of one version from START to END, and the leases on it. TensorFlow Serving's LoaderHarness."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from serve.errors import Code, ServeError
from serve.lifecycle.source import fingerprint
from serve.lifecycle.state import State, VersionStatus
from serve.loaded_model import LoadedModel, LoadReport


class Harness:
    """Manages one version of a model from START to END. A version that is loaded again gets a new harness."""

    def __init__(self, name: str, version: int, path: Path, on_idle: Callable[["Harness"], None]) -> None:
        """`on_idle` is called once, when the version is retired and has no leases left."""
        self.name = name
        self.version = version
        self.path = path
        self.state = State.START
        self.error: ServeError | None = None
        self.attempts = 0
        # When to try again after a failure, in seconds of time.monotonic().
        self.retry_at: float | None = None
        self._files = fingerprint(path)
        self._on_idle = on_idle
        self._model: LoadedModel | None = None
        self._report: LoadReport | None = None
        self._leases = 0
        self._lock = threading.Lock()

    @property
    def status(self) -> VersionStatus:
        if self.error is None:
            return VersionStatus(self.version, self.state, report=self._report)
        return VersionStatus(self.version, self.state, self.error.code, self.error.message)

    def should_reload(self) -> bool:
        """Whether an aspired version needs a new harness: it is at END and, if it failed, its files have changed."""
        if self.state is not State.END:
            return False
        return self.error is None or fingerprint(self.path) != self._files

    def load_started(self) -> None:
        self.state = State.LOADING
        self.error = None
        self.attempts += 1
        self.retry_at = None

    def load_succeeded(self, model: LoadedModel, report: LoadReport) -> None:
        with self._lock:
            self._model = model
            self._report = report
            self.error = None
            self.state = State.AVAILABLE

    def load_failed(self, error: ServeError, retry_at: float | None) -> None:
        self.error = error
        self.retry_at = retry_at
        if retry_at is None:
            self.state = State.END

    def lease(self) -> "Lease | None":
        """Returns a lease; None if the version has left AVAILABLE since the caller looked it up."""
        with self._lock:
            if self.state is not State.AVAILABLE or self._model is None:
                return None
            self._leases += 1
            return Lease(self, self._model)

    def add_lease(self) -> None:
        """Counts one more lease, in any state. The caller must hold a lease."""
        with self._lock:
            self._leases += 1

    def release(self) -> None:
        with self._lock:
            self._leases -= 1
            idle = self._leases == 0 and self.state is State.UNLOADING
        if idle:
            self._on_idle(self)

    def retire(self) -> None:
        """Gives out no more leases. `on_idle` is called at once, or with the release of the last lease."""
        with self._lock:
            self.state = State.UNLOADING
            idle = self._leases == 0
        if idle:
            self._on_idle(self)

    def end(self) -> None:
        """Closes the model, if there is one. Blocks."""
        model, self._model, self._report = self._model, None, None
        try:
            if model is not None:
                model.close()
        except BaseException as error:  # a model that fails to close must not block its successor
            self.error = ServeError(Code.INTERNAL, f"Unloading failed: {error}")
        self.state = State.END


class Lease:
    """Keeps a version in memory until it is released, as a context manager or by `release`. Then `model` is invalid."""

    __slots__ = ("_harness", "model", "name", "version")

    def __init__(self, harness: "Harness", model: LoadedModel) -> None:
        self._harness = harness
        self.name = harness.name
        self.version = harness.version
        self.model = model

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._harness.release()

    def release(self) -> None:
        """Releases the lease. Call this once."""
        self._harness.release()

    def share(self) -> "Lease":
        """Returns another lease on the same version, with its own release. Call it only while this one is held."""
        self._harness.add_lease()
        return Lease(self._harness, self.model)
