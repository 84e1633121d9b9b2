"""Records the metrics of models: state, load time, memory, and UUID in ML Metadata."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

from serve import metrics
from serve.lifecycle.state import State, VersionStatus
from serve.loaded_model import LoadedModel, LoadReport
from serve.metrics.instruments import Labels, Memory
from serve.metrics.process import private_bytes

logger = logging.getLogger("serve")

# TFX pipelines write this file, and TensorFlow Serving reads it.
MLMD_FILE = Path("assets.extra", "mlmd_uuid")

# The path and the report of each loaded model. Weak keys: an entry disappears with its model.
_loaded: WeakKeyDictionary[LoadedModel, tuple[str, LoadReport]] = WeakKeyDictionary()


def _memory_bytes() -> dict[Labels, Memory]:
    return {(path,): report.memory for path, report in list(_loaded.values())}


def _prepare_seconds() -> dict[Labels, float]:
    return {
        (path,): report.preparation.seconds
        for path, report in list(_loaded.values())
        if report.preparation and report.preparation.seconds is not None
    }


metrics.model_memory_bytes.read_from(_memory_bytes)
metrics.model_prepare_seconds.read_from(_prepare_seconds)

# By name and version of the available versions.
_mlmd_uuids: dict[tuple[str, str], str] = {}


def _mlmd_map() -> dict[Labels, float]:
    return {(*version, uuid): 1 for version, uuid in list(_mlmd_uuids.items())}


metrics.mlmd_map.read_from(_mlmd_map)


def load_measured(
    load: Callable[[Path], LoadedModel],
    path: Path,
    engine_started: Callable[[], tuple[float, int] | None] = lambda: None,
) -> tuple[LoadedModel, LoadReport]:
    """Returns `load(path)` and what it took, and records both in the metrics.

    The first load also imports the engine, while the version is prepared. The time after the preparation that only the
    import takes is not counted: `engine_started` tells when the import was done, and the private memory then.
    """
    before = private_bytes()
    started = time.perf_counter()
    try:
        model = load(path)
    except BaseException:
        metrics.load_attempt_count.add(str(path), "fail")
        raise
    prepare_seconds = (model.preparation and model.preparation.seconds) or 0
    engine = engine_started()
    if engine and engine[0] > started:
        started, before = max(started, engine[0] - prepare_seconds), engine[1]
    seconds = time.perf_counter() - started
    metrics.load_attempt_count.add(str(path), "success")
    metrics.load_latency.add(str(path), amount=seconds * 1e6)
    metrics.model_load_seconds.set(str(path), value=seconds)
    # Pages of mapped files become resident when they are used.
    memory = Memory(max(0, private_bytes() - before), model.mapped_bytes)
    report = LoadReport(model.engine, memory, seconds, model.preparation)
    _loaded[model] = str(path), report
    return model, report


def record_state(name: str, status: VersionStatus, path: Path) -> None:
    """Records a change of state, as an observer of the manager. A version that ended without an error is dropped."""
    version = name, str(status.version)
    if status.state is State.END and not status.message:
        metrics.model_state.drop(*version)
    else:
        metrics.model_state.set(*version, value=status.state)
    if status.state is State.AVAILABLE:
        _record_mlmd_uuid(version, path / MLMD_FILE)
    elif status.state is State.END:
        _mlmd_uuids.pop(version, None)


def _record_mlmd_uuid(version: tuple[str, str], file: Path) -> None:
    try:
        _mlmd_uuids[version] = file.read_text(errors="replace").strip()
    except FileNotFoundError:
        return
    except OSError as error:  # a model serves without its UUID
        logger.warning("%s cannot be read: %s", file, error.strerror)
