"""LoadedModel: the interface of a version in memory, the same for all engines."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tfx_export.savedmodel.signature import Signature


class LoadedModel(Protocol):
    """One version of a model in memory."""

    engine: str
    signatures: Mapping[str, Signature]

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Runs `signature` on all of its `inputs`, by the names that clients use, and returns `outputs`.

        Blocks; may be called from several threads. Raises ServeError for inputs that do not fit the graph.
        """
        ...

    def close(self) -> None:
        """Frees the memory. `run` must not be called during or after this."""
        ...
