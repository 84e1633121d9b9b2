"""The files an operator names: read once before anything else, so that a bad one ends the start and no request."""

from serve.config import Config


def check_config_files(config: Config) -> None:
    """INVALID_ARGUMENT for the first file that cannot be used. Most starts have none and wait for no reader of them."""
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
