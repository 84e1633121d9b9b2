"""Where the metrics page is found."""

from pathlib import Path

from google.protobuf import text_format

from serve.errors import Code, ServeError
from tfx_export import wire

# Always there, as monitoring tools expect it.
COMMON_PATH = "/metrics"
# Upstream's, once a MonitoringConfig switches it on.
UPSTREAM_PATH = "/monitoring/prometheus/metrics"


def metrics_paths(monitoring_config_file: str) -> tuple[str, ...]:
    """The paths of the page. INVALID_ARGUMENT if the file is no MonitoringConfig."""
    if not monitoring_config_file:
        return (COMMON_PATH,)
    try:
        config = wire.parse_text(wire.MonitoringConfig, Path(monitoring_config_file).read_bytes())
    except (OSError, text_format.ParseError, UnicodeDecodeError) as error:
        raise ServeError(
            Code.INVALID_ARGUMENT,
            f"Error parsing text-format tensorflow.serving.MonitoringConfig: {monitoring_config_file}: {error}",
        ) from None
    prometheus = config.prometheus_config
    return (COMMON_PATH, prometheus.path or UPSTREAM_PATH) if prometheus.enable else (COMMON_PATH,)
