"""Harness: one life of one version, its state, and the count of leases on it."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from serve.errors import Code, ServeError
from serve.lifecycle.source import fingerprint
from serve.lifecycle.state import State, VersionStatus
from serve.loaded_model import LoadedModel


class Harness:
    """Every version that was ever aspired has one, from START to END. A second life is a second harness."""

    def __init__(self, name: str, version: int, path: Path, on_idle: Callable[["Harness"], None]) -> None:
        """`on_idle` is called once: when a retired version has no leases left."""
        self.name = name
        self.version = version
        self.path = path
        self.state = State.START
        self.error: ServeError | None = None
        self.attempts = 0
        # When to try again after a failure, on time.monotonic's clock.
        self.retry_at: float | None = None
        self._files = fingerprint(path)
        self._on_idle = on_idle
        self._model: LoadedModel | None = None
        self._leases = 0
        self._lock = threading.Lock()

    @property
    def status(self) -> VersionStatus:
        if self.error is None:
            return VersionStatus(self.version, self.state)
        return VersionStatus(self.version, self.state, self.error.code, self.error.message)

    def should_reload(self) -> bool:
        """An aspired version at its END is loaded anew; if it was broken, only once its files have changed."""
        if self.state is not State.END:
            return False
        return self.error is None or fingerprint(self.path) != self._files

    def load_started(self) -> None:
        self.state = State.LOADING
        self.error = None
        self.attempts += 1
        self.retry_at = None

    def load_succeeded(self, model: LoadedModel) -> None:
        with self._lock:
            self._model = model
            self.error = None
            self.state = State.AVAILABLE

    def load_failed(self, error: ServeError, retry_at: float | None) -> None:
        self.error = error
        self.retry_at = retry_at
        if retry_at is None:
            self.state = State.END

    def lease(self) -> "Lease | None":
        """A lease, or None if the version has left AVAILABLE since the caller looked it up."""
        with self._lock:
            if self.state is not State.AVAILABLE or self._model is None:
                return None
            self._leases += 1
            return Lease(self, self._model)

    def hold(self) -> None:
        """One more lease beside one that is held, whatever the state."""
        with self._lock:
            self._leases += 1

    def release(self) -> None:
        with self._lock:
            self._leases -= 1
            idle = self._leases == 0 and self.state is State.UNLOADING
        if idle:
            self._on_idle(self)

    def retire(self) -> None:
        """No more leases. `on_idle` follows at once or with the last release."""
        with self._lock:
            self.state = State.UNLOADING
            idle = self._leases == 0
        if idle:
            self._on_idle(self)

    def end(self) -> None:
        """Close the model, if there is one. Blocking."""
        model, self._model = self._model, None
        try:
            if model is not None:
                model.close()
        except Exception as error:  # a model that does not close must not keep its successor out
            self.error = ServeError(Code.INTERNAL, f"Unloading failed: {error}")
        self.state = State.END


class Lease:
    """A context manager. Inside, `model` can be run; after it, nothing of the lease may be used."""

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
        """Give the hold back; once."""
        self._harness.release()

    def share(self) -> "Lease":
        """Another hold on the same version, to be released by itself. Only while this one is held."""
        self._harness.hold()
        return Lease(self._harness, self.model)
