"""The engines that run models. An engine is a module of this package, imported when a version needs it."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from serve.config import Config
from serve.engines.choice import Assignment, assign
from serve.engines.preparation import lower_priority, prepare
from serve.engines.tensorflow_setup import started, tensorflow_engine
from serve.loaded_model import LoadedModel

__all__ = ["Engine", "MixedModel", "check_settings", "load", "started"]


class MixedModel:
    """A version on several engines: each signature runs on the engine it was assigned to."""

    def __init__(self, models: Mapping[str, LoadedModel], assignment: Assignment) -> None:
        """The first model provides the signatures, and runs those that no engine was assigned to (TensorFlow's own)."""
        self._models = tuple(models.values())
        self._by_signature = {name: models[engine] for engine, names in assignment.items() for name in names or ()}
        self.signatures = self._models[0].signatures
        self.mapped_bytes = sum(model.mapped_bytes for model in self._models)
        self.preparation = next((model.preparation for model in self._models if model.preparation), None)
        self.engine = "; ".join(f"{engine}: {', '.join(names or ())}" for engine, names in assignment.items())

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        return self._by_signature.get(signature, self._models[0]).run(signature, inputs, outputs)

    def close(self) -> None:
        for model in self._models:
            model.close()


class Engine(Protocol):
    """The interface of an engine module."""

    def load(self, path: Path, config: Config) -> LoadedModel:
        """Loads the version folder `path`. Blocks; called outside of requests. Raises ServeError."""
        ...


def check_settings(config: Config) -> None:
    """Raises ServeError if a file that only TensorFlow can read is invalid. Imports TensorFlow only for such a file."""
    if config.tensorflow_session_config_file or config.op_library or config.import_module:
        tensorflow_engine()
        import_module("serve.engines.tensorflow_settings").check_settings(config)


def load(path: Path, config: Config, stopping: threading.Event | None = None) -> LoadedModel:
    """Loads the version folder `path` with the engines that fit it and `config`. Raises ServeError.

    `stopping` ends a preparation that is running or about to begin.
    """
    assignment = assign(path, config)
    models: dict[str, LoadedModel] = {}
    try:
        for name in assignment:
            models[name] = _load_with(name, path, config, stopping or threading.Event())
    except BaseException:
        for model in models.values():
            model.close()
        raise
    return next(iter(models.values())) if len(models) == 1 else MixedModel(models, assignment)


def _load_with(engine: str, path: Path, config: Config, stopping: threading.Event) -> LoadedModel:
    if engine != "tensorflow":
        return cast(Engine, import_module(f"serve.engines.{engine}")).load(path, config)
    # The child and this process import TensorFlow at the same time.
    with ThreadPoolExecutor(1, thread_name_prefix="prepare", initializer=lower_priority) as pool:
        prepared = pool.submit(prepare, path, config, stopping)
        tensorflow = tensorflow_engine()
        return cast(LoadedModel, tensorflow.load(path, config, prepared.result()))
