"""What must be said to load a Keras file that does not say all by itself. Knows no TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfx_export.exporting.sources.object_reference import find


@dataclass(frozen=True)
class KerasOptions:
    """`architecture` is the model's JSON where the file holds only weights.

    `custom_objects` are `module:attribute`: a class, a function, or a dict of them. `replace_layers` puts a
    `module:attribute`, a layer class or a function, in the place of the layer of each name. `trust_lambda` allows code
    in the file to be run.
    """

    architecture: Path | None = None
    custom_objects: tuple[str, ...] = ()
    replace_layers: Mapping[str, str] = field(default_factory=dict)
    trust_lambda: bool = False

    def load_custom_objects(self) -> dict[str, Any]:
        """The custom objects by the names that files know them by. Raises as `find` does."""
        objects: dict[str, Any] = {}
        for reference in self.custom_objects:
            value = find(reference)
            objects.update(value if isinstance(value, dict) else {value.__name__: value})
        return objects


DEFAULT_OPTIONS = KerasOptions()
