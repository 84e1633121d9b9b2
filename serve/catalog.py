"""The models an operator wants served, as the flags and files say."""

from pathlib import Path

from serve.config import Config
from serve.lifecycle.source import ServedModel
from tfx_export.savedmodel.versions import list_versions


def catalog(config: Config) -> list[ServedModel]:
    """One model, or every model of a folder of models: a folder without versions whose subfolders have some."""
    base_path = Path(config.model_base_path).absolute()
    models = [] if list_versions(base_path) else models_in(base_path)
    return models or [ServedModel(config.model_name, base_path)]


def models_in(folder: Path) -> list[ServedModel]:
    """The subfolders of `folder` that have versions, by name."""
    if not folder.is_dir():
        return []
    return [ServedModel(path.name, path) for path in sorted(folder.iterdir()) if list_versions(path)]
