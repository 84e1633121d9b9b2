"""Options to load a Keras file that is not complete on its own. Does not import TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.object_reference import import_object


@dataclass(frozen=True)
class KerasOptions:
    """How to load a Keras file.

    Args:
        architecture: The model's JSON, for a file that holds only weights.
        custom_objects: Your own classes and functions, or dicts of these, as `module:attribute`.
        replace_layers: By the name of a layer, the `module:attribute` of a layer class or function to use instead.
        trust_lambda: Whether Python code in the file may run.
    """

    architecture: Path | None = None
    custom_objects: tuple[str, ...] = ()
    replace_layers: Mapping[str, str] = field(default_factory=dict)
    trust_lambda: bool = False

    def load_custom_objects(self) -> dict[str, object]:
        """Imports the custom objects; returns them by their names in model files. Raises SourceError if one is
        none of these, and as `import_object` does."""
        objects: dict[str, object] = {}
        for reference in self.custom_objects:
            value = import_object(reference)
            if not isinstance(value, dict) and not hasattr(value, "__name__"):
                raise SourceError(
                    f"{reference} is of type {type(value).__name__}, not a class, a function or a dict of them."
                )
            objects.update(value if isinstance(value, dict) else {value.__name__: value})
        return objects


DEFAULT_OPTIONS = KerasOptions()
