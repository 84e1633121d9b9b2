"""What the metrics say about models: their states, how long they took to load, what they weigh, who made them."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

from serve import metrics
from serve.lifecycle.state import State, VersionStatus
from serve.metrics.instruments import Labels
from serve.metrics.process import resident_bytes

logger = logging.getLogger("serve")

Model = TypeVar("Model")

# Where TFX pipelines write it, and TensorFlow Serving looks for it.
MLMD_FILE = Path("assets.extra", "mlmd_uuid")

# Ends with the model: what was unloaded weighs nothing.
_memory: WeakKeyDictionary[object, tuple[str, int]] = WeakKeyDictionary()


def _weights() -> dict[Labels, float]:
    return {(path,): weight for path, weight in list(_memory.values())}


metrics.model_memory_bytes.read_from(_weights)

# By name and version, of those that are available.
_mlmd_uuids: dict[tuple[str, str], str] = {}


def _mlmd_map() -> dict[Labels, float]:
    return {(*version, uuid): 1 for version, uuid in list(_mlmd_uuids.items())}


metrics.mlmd_map.read_from(_mlmd_map)


def load_measured(load: Callable[[Path], Model], path: Path) -> Model:
    """`load(path)`, with its outcome, time and memory recorded."""
    before = resident_bytes()
    started = time.perf_counter()
    try:
        model = load(path)
    except BaseException:
        metrics.load_attempt_count.add(str(path), "fail")
        raise
    seconds = time.perf_counter() - started
    metrics.load_attempt_count.add(str(path), "success")
    metrics.load_latency.add(str(path), amount=seconds * 1e6)
    metrics.model_load_seconds.set(str(path), value=seconds)
    _memory[model] = (str(path), max(0, resident_bytes() - before))
    return model


def record_state(name: str, status: VersionStatus, path: Path) -> None:
    """A listener of the lifecycle. A version that has ended without an error is forgotten."""
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
    except OSError as error:  # who made a model is nothing that its serving depends on
        logger.warning("%s cannot be read: %s", file, error.strerror)
