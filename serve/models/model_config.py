"""Reads and checks a ModelServerConfig, the operator's list of models."""

from pathlib import Path

from google.protobuf.text_format import ParseError

from serve.errors import invalid_argument
from serve.lifecycle.source import ServedModel
from serve.lifecycle.version_policy import All, Latest, Specific, VersionPolicy
from tfx_export import wire
from tfx_export.savedmodel.version_folders import remote_storage

PLATFORMS = ("tensorflow",)


def read_config(file: Path) -> wire.ModelServerConfig:
    """Reads the ModelServerConfig in `file`. Raises INVALID_ARGUMENT, with line and column, if it is not valid."""
    try:
        return wire.parse_text(wire.ModelServerConfig, file.read_bytes())
    except OSError as error:
        raise invalid_argument(f"Invalid protobuf file: '{file}': {error.strerror}") from None
    except (ParseError, UnicodeDecodeError) as error:
        raise invalid_argument(
            f"Error parsing text-format tensorflow.serving.ModelServerConfig: {error}. Invalid protobuf file: '{file}'"
        ) from None


def listed_models(config: wire.ModelServerConfig) -> list[ServedModel]:
    """Returns the models in `config`. Raises INVALID_ARGUMENT, with upstream's text, if the list is not valid."""
    models: dict[str, ServedModel] = {}
    for each in config.model_config_list.config:
        if each.name in models:
            raise invalid_argument(f"Illegal to list model {each.name} multiple times in config list")
        _check_platform(each)
        if remote := remote_storage(each.base_path):
            raise invalid_argument(f"The base_path of model {each.name} cannot be used: {remote}")
        path = Path(each.base_path)
        if not path.is_absolute():
            raise invalid_argument(
                f"Expected model {each.name} to have an absolute path or URI; got base_path()={each.base_path}"
            )
        models[each.name] = ServedModel(each.name, path, _policy(each), dict(each.version_labels))
    return list(models.values())


def _policy(config: wire.ModelConfig) -> VersionPolicy:
    policy = config.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            if not policy.specific.versions:
                raise invalid_argument(f"Specific version policy of model {config.name} names no versions")
            return Specific(frozenset(policy.specific.versions))
        case "latest":
            return Latest(policy.latest.num_versions)
        case _:
            return Latest()


def _check_platform(config: wire.ModelConfig) -> None:
    if config.model_type:
        if config.model_platform:
            raise invalid_argument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {config.name}"
            )
        if config.model_type != 1:
            raise invalid_argument(f"ModelServerConfig::model_type choice {config.model_type} not supported.")
    elif not config.model_platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {config.name}"
        )
    elif config.model_platform not in PLATFORMS:
        raise invalid_argument(f"Model {config.name} requests unsupported platform {config.model_platform}")
