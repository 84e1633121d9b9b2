"""What runs a model. An engine is a module of this package, chosen by name and imported on choice."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from serve.config import Config
from tfx_export.savedmodel.signature import Signature


class LoadedModel(Protocol):
    """One version of a model in memory."""

    engine: str
    signatures: Mapping[str, Signature]

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Run `signature` on its complete `inputs` (by the client's names) and return `outputs`.

        Blocking; may be called from several threads. Raises ServeError for inputs the graph cannot take.
        """
        ...

    def close(self) -> None:
        """Give the memory back. Nobody calls `run` during or after this."""
        ...


class Engine(Protocol):
    """What an engine module offers."""

    def load(self, path: Path, config: Config) -> LoadedModel:
        """Load the version folder `path`. Blocking, off the request path. Raises ServeError."""
        ...


def load(path: Path, config: Config) -> LoadedModel:
    """Load the version folder `path` with the engine that fits it and `config`. Raises ServeError."""
    engine = cast(Engine, import_module(f"serve.engines.{choose(path, config)}"))
    return engine.load(path, config)


def choose(path: Path, config: Config) -> str:
    """The name of the engine for the version folder `path`."""
    return "tensorflow"
