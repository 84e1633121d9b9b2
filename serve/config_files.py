"""The files an operator names: read once before anything else, so that a bad one ends the start and no request."""

from serve.batching.config import BatchingConfig
from serve.config import Config
from serve.monitoring import metrics_paths
from serve.security import Tls, Tokens


def check_config_files(config: Config) -> None:
    """INVALID_ARGUMENT for the first file that cannot be used."""
    for path in (config.ssl_config_file, config.rest_ssl_config_file):
        if path:
            Tls.read(path)
    if config.auth_token_file:
        Tokens(config.auth_token_file)
    metrics_paths(config.monitoring_config_file)
    BatchingConfig.from_flags(config)
