"""LoadedModel: one version of a model in memory, whichever engine runs it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

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
