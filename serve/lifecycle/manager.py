"""Manager: loads and unloads versions. All threads and timers of the lifecycle are here."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serve.errors import Code, ServeError
from serve.lifecycle.harness import Harness, Lease
from serve.lifecycle.misplaced import misplaced
from serve.lifecycle.source import ServedModel, versions_on_disk
from serve.lifecycle.state import ModelRef, State, VersionStatus
from serve.lifecycle.swap_policy import Verb, VersionSnapshot, next_action
from serve.lifecycle.table import ServingTable
from serve.lifecycle.version_policy import aspired_versions
from serve.loaded_model import LoadedModel, LoadReport

logger = logging.getLogger("serve")

# How long the manager's thread waits after an unexpected error.
SECONDS_AFTER_ERROR = 1.0

# Errors after which another attempt with the same files may succeed.
TRANSIENT = frozenset({Code.ABORTED, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE})

Load = Callable[[Path], tuple[LoadedModel, LoadReport]]
# Takes the name of the model, the status of the version, and its folder.
StateObserver = Callable[[str, VersionStatus, Path], None]


class Manager:
    """Keeps the aspired versions in memory.

    One thread decides, a pool loads and unloads. Requests take leases from a table that is replaced, never changed.
    """

    def __init__(
        self, load: Load, *, poll_seconds: float, load_threads: int, max_retries: int, retry_seconds: float
    ) -> None:
        """`load` loads a version; it may block, and raises ServeError.

        `poll_seconds` is the time between two scans of the disk; 0 scans once.
        """
        self._load = load
        self._poll_seconds = poll_seconds
        self._max_retries = max_retries
        self._retry_seconds = retry_seconds
        self._models: dict[str, ServedModel] = {}
        self._on_disk: dict[str, dict[int, Path]] = {}
        # By model: what its base path holds instead of versions; see `misplaced`.
        self._misplaced: dict[str, str] = {}
        self._harnesses: dict[str, dict[int, Harness]] = {}
        self._observers: list[StateObserver] = []
        self._serving = ServingTable({}, {})
        self._changed = threading.Condition(threading.RLock())
        self._woken = threading.Event()
        self._stopping = False
        self._next_poll = 0.0
        self._pool = ThreadPoolExecutor(max_workers=load_threads, thread_name_prefix="load")
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)

    # Used by requests

    def lease(self, ref: ModelRef) -> Lease:
        """Returns a lease on the version that `ref` means. Raises NOT_FOUND if it is not available."""
        while True:
            # A version may be retired between the look-up and the lease. By then, the table has been replaced.
            lease = self._serving.find(ref).lease()
            if lease is not None:
                return lease

    def status(self, ref: ModelRef) -> list[VersionStatus]:
        """Returns the status of the version in `ref`, or of every known one, the largest first. Ignores labels.

        Raises NOT_FOUND if there is none.
        """
        with self._changed:
            harnesses = self._harnesses.get(ref.name, {})
            if ref.version is not None:
                if ref.version not in harnesses:
                    raise ServeError(Code.NOT_FOUND, f"Could not find version {ref.version} of model {ref.name}")
                return [harnesses[ref.version].status]
            if not harnesses:
                hint = f". {self._misplaced[ref.name]}" if self._misplaced.get(ref.name) else ""
                raise ServeError(Code.NOT_FOUND, f"Could not find any versions of model {ref.name}{hint}")
            return [harnesses[version].status for version in sorted(harnesses, reverse=True)]

    def is_available(self, name: str) -> bool:
        """Whether any version of the model is available."""
        return bool(self._serving.versions.get(name))

    def any_available(self) -> bool:
        """Whether any model is available."""
        return any(self._serving.versions.values())

    def models(self) -> list[ServedModel]:
        """Returns the models to serve, in the order given to `serve`."""
        with self._changed:
            return list(self._models.values())

    # Used by the server

    def start(self) -> None:
        self._thread.start()

    def serve(self, models: Iterable[ServedModel]) -> None:
        """Serves these models and no others. Returns at once; versions are loaded and unloaded afterwards."""
        with self._changed:
            old, self._models = self._models, {model.name: model for model in models}
            for name, model in old.items():
                # Versions found below another base path do not belong to this model.
                if name not in self._models or self._models[name].base_path != model.base_path:
                    self._on_disk.pop(name, None)
                    self._misplaced.pop(name, None)
            self._next_poll = 0.0
            self._publish()
        self._woken.set()

    def subscribe(self, observer: StateObserver) -> None:
        """Calls `observer(name, status, path)` at each change of state, in the thread that changes it."""
        self._observers.append(observer)

    def pending(self, names: Iterable[str]) -> list[str]:
        """Returns those of `names` that have no version available yet.

        Raises UNKNOWN, with the errors, if one of them has failed and will not be tried again.
        """
        with self._changed:
            pending = [name for name in names if name in self._models and not self._serving.versions.get(name)]
            failed = [name for name in pending if self._given_up(name)]
            if failed:
                raise self._not_available(failed)
            return pending

    def wait_for(self, names: Collection[str]) -> None:
        """Returns when each of `names` that is still configured has a version available. Raises as `pending`."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or not self.pending(names))

    def wait_loaded(self) -> None:
        """Returns when a model is available and none is being loaded, or when there are no models.

        Waits without limit for models whose base path is missing or empty, unless another model is available.
        Raises UNKNOWN, with the errors, if every version of every model has failed to load.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._settled())
            if self._models and not self._stopping and not self.any_available():
                raise self._not_available(self._models)

    def stop(self) -> None:
        """Unloads all versions once their leases are released, and ends the threads."""
        self.serve(())
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._woken.set()
        self._thread.join()
        self._pool.shutdown()

    # In the manager's thread

    def _run(self) -> None:
        while not self._finished():
            self._woken.clear()
            try:
                self._step()
                seconds = self._seconds_until_due()
            except Exception:  # without this thread, nothing would be loaded or unloaded any more
                logger.exception("The manager's thread failed unexpectedly, and continues")
                self._next_poll, seconds = 0.0, SECONDS_AFTER_ERROR
            self._woken.wait(seconds)

    def _step(self) -> None:
        now = time.monotonic()
        if now >= self._next_poll:
            self._next_poll = now + self._poll_seconds if self._poll_seconds > 0 else float("inf")
            self._scan_disk()
        with self._changed:
            for name in {*self._models, *self._harnesses}:
                self._reconcile(name, now)
            self._changed.notify_all()

    def _scan_disk(self) -> None:
        for model in self.models():
            try:
                found = versions_on_disk(model)
            except OSError as error:  # as if the base path did not exist
                logger.error("The versions of %s cannot be listed: %s", model.name, error)
                found = None
            hint = misplaced(model.base_path, found)
            with self._changed:
                if self._models.get(model.name) != model:
                    continue  # reconfigured while the disk was scanned
                if found is None and self._on_disk.get(model.name):
                    continue  # the base path has vanished: its versions stay
                changed = hint != self._misplaced.get(model.name, "")
                self._misplaced[model.name] = hint
                if not found and (changed or model.name not in self._on_disk):
                    end = f". {hint}" if hint else ""
                    logger.info("Waiting for a version of %s to appear in %s%s", model.name, model.base_path, end)
                elif changed and hint:
                    logger.warning("%s", hint)
                self._on_disk[model.name] = self._on_disk.get(model.name, {}) if found is None else found

    def _reconcile(self, name: str, now: float) -> None:
        """Performs the actions that the swap policy gives for one model until it gives no more."""
        harnesses = self._harnesses.setdefault(name, {})
        model = self._models.get(name)
        on_disk = self._on_disk.get(name, {}) if model else {}
        broken = {version for version, harness in harnesses.items() if harness.error is not None}
        aspired = aspired_versions(model.policy, on_disk, broken) if model else set()
        for version in aspired:
            harness = harnesses.get(version)
            if harness is None or harness.should_reload():
                harnesses[version] = Harness(name, version, on_disk[version], self._unload)
                self._announce(harnesses[version])
            elif harness.retry_at is not None and now >= harness.retry_at:
                self._submit(harness)
        while action := next_action(
            [VersionSnapshot(version, version in aspired, harness.state) for version, harness in harnesses.items()]
        ):
            harness = harnesses[action.version]
            if action.verb is Verb.LOAD:
                self._submit(harness)
            else:
                self._publish(without=harness)
                harness.retire()
                self._announce(harness)

    def _submit(self, harness: Harness) -> None:
        harness.load_started()
        self._announce(harness)
        try:
            self._pool.submit(self._load_version, harness, harness.attempts)
        except RuntimeError as error:  # the system has no more threads
            self._load_failed(harness, ServeError(Code.RESOURCE_EXHAUSTED, f"No thread can load it: {error}"))

    def _unload(self, harness: Harness) -> None:
        # The pool keeps the work even if it cannot start another thread; the one that loaded the version is left.
        with contextlib.suppress(RuntimeError):
            self._pool.submit(self._end_version, harness)

    def _publish(self, without: Harness | None = None) -> None:
        """Replaces the table that requests use with one of the versions that are available now."""
        versions = {
            name: {
                version: harnesses[version]
                for version in sorted(harnesses, reverse=True)
                if harnesses[version].state is State.AVAILABLE and harnesses[version] is not without
            }
            for name, harnesses in self._harnesses.items()
        }
        self._serving = ServingTable(versions, {name: model.labels for name, model in self._models.items()})

    def _announce(self, harness: Harness) -> None:
        for observer in self._observers:
            try:
                observer(harness.name, harness.status, harness.path)
            except Exception:  # a failing observer must not keep the version in its present state
                logger.exception("Recording a state of %s version %d failed", harness.name, harness.version)

    def _seconds_until_due(self) -> float | None:
        """Returns the seconds until the next scan of the disk or the next attempt to load; None if neither is due."""
        with self._changed:
            retries = [
                harness.retry_at
                for versions in self._harnesses.values()
                for harness in versions.values()
                if harness.retry_at is not None
            ]
        due = min([self._next_poll, *retries])
        return None if due == float("inf") else max(0.0, due - time.monotonic())

    def _settled(self) -> bool:
        harnesses = [harness for versions in self._harnesses.values() for harness in versions.values()]
        if any(harness.state in (State.START, State.LOADING) and harness.retry_at is None for harness in harnesses):
            return False
        if self.any_available():
            return True
        # If a version has yet to appear or will be tried again, a model may still become available.
        return all(self._given_up(name) for name in self._models)

    def _given_up(self, name: str) -> bool:
        """Whether every version of the model has failed, none will be tried again, and no older one is going to be."""
        harnesses = self._harnesses.get(name, {})
        failed = {version for version, harness in harnesses.items() if harness.error and harness.state is State.END}
        if not failed or failed != harnesses.keys():
            return False
        model = self._models.get(name)
        return model is None or aspired_versions(model.policy, self._on_disk.get(name, {}), failed) <= failed

    def _not_available(self, names: Collection[str]) -> ServeError:
        errors = [
            f"{{name: {harness.name} version: {harness.version}}} due to error: {harness.error}"
            for name in names
            for harness in self._harnesses.get(name, {}).values()
        ]
        return ServeError(Code.UNKNOWN, f"{len(names)} model(s) did not become available: {'; '.join(errors)}")

    def _finished(self) -> bool:
        with self._changed:
            harnesses = [harness for versions in self._harnesses.values() for harness in versions.values()]
            return self._stopping and all(harness.state in (State.START, State.END) for harness in harnesses)

    # In the pool's threads

    def _load_version(self, harness: Harness, attempt: int) -> None:
        if (harness.attempts, harness.state, harness.retry_at) != (attempt, State.LOADING, None):
            return  # `_submit` has given up this attempt
        try:
            model, report = self._load(harness.path)
        except ServeError as error:
            self._load_failed(harness, error)
        except BaseException as error:  # also SystemExit: a custom operator may call sys.exit
            logger.exception("Loading %s version %d failed unexpectedly", harness.name, harness.version)
            self._load_failed(harness, ServeError(Code.INTERNAL, _text(error)))
        else:
            with self._changed:
                harness.load_succeeded(model, report)
                self._publish()
            self._announce(harness)
        finally:
            self._woken.set()

    def _load_failed(self, harness: Harness, error: ServeError) -> None:
        again = error.code in TRANSIENT and harness.attempts <= self._max_retries and not self._stopping
        with self._changed:
            harness.load_failed(error, time.monotonic() + self._retry_seconds if again else None)
        self._announce(harness)

    def _end_version(self, harness: Harness) -> None:
        harness.end()
        self._announce(harness)
        self._woken.set()


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a custom operator's own class of exceptions
        return type(error).__name__
