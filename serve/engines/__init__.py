"""What runs a model. An engine is a module of this package, chosen by name and imported on choice."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from serve.config import Config
from serve.engines.choice import Assignment, assign
from serve.loaded_model import LoadedModel


class MixedModel:
    """A version on several engines: each signature is answered by the one it was assigned to."""

    def __init__(self, models: Mapping[str, LoadedModel], assignment: Assignment) -> None:
        """The first model tells the signatures, and answers those assigned to none (TensorFlow's own)."""
        self._models = tuple(models.values())
        self._answering = {name: models[engine] for engine, names in assignment.items() for name in names or ()}
        self.signatures = self._models[0].signatures
        self.engine = "; ".join(f"{engine}: {', '.join(names or ())}" for engine, names in assignment.items())

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        return self._answering.get(signature, self._models[0]).run(signature, inputs, outputs)

    def close(self) -> None:
        for model in self._models:
            model.close()


class Engine(Protocol):
    """What an engine module offers."""

    def load(self, path: Path, config: Config) -> LoadedModel:
        """Load the version folder `path`. Blocking, off the request path. Raises ServeError."""
        ...


def check_settings(config: Config) -> None:
    """ServeError if a file that only TensorFlow can read is of no use. TensorFlow is imported if one is named."""
    if config.tensorflow_session_config_file or config.op_library or config.import_module:
        import_module("serve.engines.tensorflow").check_settings(config)


def load(path: Path, config: Config) -> LoadedModel:
    """Load the version folder `path` with the engines that fit it and `config`. Raises ServeError."""
    assignment = assign(path, config)
    models: dict[str, LoadedModel] = {}
    try:
        for name in assignment:
            models[name] = cast(Engine, import_module(f"serve.engines.{name}")).load(path, config)
    except BaseException:
        for model in models.values():
            model.close()
        raise
    return next(iter(models.values())) if len(models) == 1 else MixedModel(models, assignment)
