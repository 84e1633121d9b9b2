"""Where a TF1 graph is entered and left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ends:
    """Tensors (`x:0`) by the names that clients will use for them, and tensors fixed to a value."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    bind: Mapping[str, Any] = field(default_factory=dict)
