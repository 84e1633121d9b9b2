"""Checks the files that the flags name before anything else, so that a bad file fails the start and not a request."""

from serve.config import Config
from serve.errors import invalid_argument
from tfx_export.savedmodel.version_folders import remote_storage

PATHS = (
    "model_base_path",
    "model_config_file",
    "batching_parameters_file",
    "monitoring_config_file",
    "ssl_config_file",
    "rest_ssl_config_file",
    "auth_token_file",
    "tensorflow_session_config_file",
    "prepared_dir",
    "ready_file",
)


def check_config_files(config: Config) -> None:
    """Raises INVALID_ARGUMENT for the first path that cannot be used. Imports the readers of given files only."""
    for flag in PATHS:
        if remote := remote_storage(getattr(config, flag)):
            raise invalid_argument(f"--{flag}: {remote}")
    for path in (config.ssl_config_file, config.rest_ssl_config_file):
        if path:
            from serve.request.auth import Tls

            Tls.read(path)
    if config.auth_token_file:
        from serve.request.auth import Tokens

        Tokens(config.auth_token_file)
    if config.monitoring_config_file:
        from serve.metrics.monitoring import metrics_paths

        metrics_paths(config.monitoring_config_file)
    if config.enable_batching or config.batching_parameters_file:
        from serve.batching.config import BatchingConfig

        BatchingConfig.from_flags(config)
