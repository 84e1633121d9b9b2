"""What the string inputs of a served version hold, read from its folder: text, pictures, or tf.Examples."""

from serve.config import Config
from serve.lifecycle.source import ServedModel
from tfx_export.savedmodel.reader import is_saved_model
from tfx_export.savedmodel.string_inputs import StringInputs
from tfx_export.savedmodel.version_folders import list_versions


def string_uses(model: ServedModel, version: int, config: Config) -> StringInputs | None:
    """None if the folder holds no graph, or is gone. Nothing is read before somebody asks about an input."""
    folder = list_versions(model.base_path).get(version)
    return StringInputs(folder, config.saved_model_tags.split(",")) if folder and is_saved_model(folder) else None
