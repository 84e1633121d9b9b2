"""The URL paths of the metrics page."""

from pathlib import Path

from google.protobuf import text_format

from serve.errors import Code, ServeError
from tfx_export import wire

# Always answered, because monitoring tools expect it.
COMMON_PATH = "/metrics"
# Upstream's default, used if a MonitoringConfig enables Prometheus.
UPSTREAM_PATH = "/monitoring/prometheus/metrics"


def metrics_paths(monitoring_config_file: str) -> tuple[str, ...]:
    """Returns the paths of the page. Raises INVALID_ARGUMENT if the file is not a valid MonitoringConfig."""
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
