"""The contents of the string inputs of a served version: text, encoded images or tf.Examples."""

from serve.config import Config
from serve.lifecycle.source import ServedModel
from tfx_export.savedmodel.reader import is_saved_model
from tfx_export.savedmodel.string_inputs import StringInputs
from tfx_export.savedmodel.version_folders import list_versions


def string_inputs(model: ServedModel, version: int, config: Config) -> StringInputs | None:
    """Returns the string inputs of a version, read on first use; None if its folder is gone or has no graph."""
    folder = list_versions(model.base_path).get(version)
    return StringInputs(folder, config.saved_model_tags.split(",")) if folder and is_saved_model(folder) else None
