"""What the metrics say about models: their states, how long they took to load, what they weigh."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

from serve import metrics
from serve.lifecycle.state import State, VersionStatus
from serve.metrics.instruments import Labels
from serve.metrics.process import resident_bytes

Model = TypeVar("Model")

# Ends with the model: what was unloaded weighs nothing.
_memory: WeakKeyDictionary[object, tuple[str, int]] = WeakKeyDictionary()


def _weights() -> dict[Labels, float]:
    return {(path,): weight for path, weight in list(_memory.values())}


metrics.model_memory_bytes.read_from(_weights)


def measured(load: Callable[[Path], Model], path: Path) -> Model:
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


def record_state(name: str, status: VersionStatus) -> None:
    """A listener of the lifecycle. A version that has ended without an error is forgotten."""
    if status.state is State.END and not status.message:
        metrics.model_state.drop(name, str(status.version))
    else:
        metrics.model_state.set(name, str(status.version), value=status.state)
