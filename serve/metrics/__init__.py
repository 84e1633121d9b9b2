"""The metrics of the server, in one process-wide list like upstream's registry.

The first block has upstream's names, labels, units (microseconds) and buckets, so that dashboards made for TensorFlow
Serving continue to work. The second block is ours and follows Prometheus' conventions (base units, `_total`).

Record with `metrics.request_count.add("mnist", "OK")`, or faster with `metrics.request_count["mnist", "OK"].add()`.
"""

from collections.abc import Sequence

from serve.metrics.instruments import (
    Counter,
    Gauge,
    Histogram,
    Labels,
    Memory,
    Metric,
    Reading,
    Snapshot as Snapshot,
    exponential,
    page as render,
)
from serve.metrics.process import PROCESS_METRICS

MICROSECONDS = exponential(10, 1.8, 33)
SIZES = exponential(1, 2, 14)

# Upstream's

request_count = Counter(":tensorflow:serving:request_count", "Requests by model and status.", ("model_name", "status"))
request_latency = Histogram(
    ":tensorflow:serving:request_latency",
    "Microseconds from a request to its response, for requests that succeeded.",
    ("model_name", "API", "entrypoint"),
    MICROSECONDS,
)
runtime_latency = Histogram(
    ":tensorflow:serving:runtime_latency",
    "Microseconds a request spent in the engine that runs the model.",
    ("model_name", "API", "runtime"),
    MICROSECONDS,
)
request_example_counts = Histogram(
    ":tensorflow:serving:request_example_counts", "Examples in a request.", ("model",), exponential(1, 2, 15)
)
request_example_count_total = Counter(
    ":tensorflow:serving:request_example_count_total", "Examples in all requests.", ("model",)
)
request_log_count = Counter(
    ":tensorflow:serving:request_log_count", "Requests written to the request log.", ("model_name", "status_code")
)
model_warmup_latency = Histogram(
    ":tensorflow:serving:model_warmup_latency",
    "Microseconds that the warmup of a version took.",
    ("model_path", "status"),
    MICROSECONDS,
)
model_warmup_records_read = Counter(
    ":tensorflow:serving:model_warmup_records_read", "Warmup records read.", ("model_path", "status")
)
load_attempt_count = Counter(
    ":tensorflow:cc:saved_model:load_attempt_count",
    'Attempts to load a version; status is "success" or "fail".',
    ("model_path", "status"),
)
load_latency = Counter(
    ":tensorflow:cc:saved_model:load_latency", "Microseconds that successful loads took.", ("model_path",)
)
# Upstream's value is a string. Prometheus has no strings, so upstream's page shows 0. Here the string is a label.
mlmd_map = Gauge(
    ":tensorflow:serving:mlmd_map",
    "1 for each version that has a UUID in ML Metadata (`assets.extra/mlmd_uuid`).",
    ("model_name", "version", "mlmd_uuid"),
    combine=max,
)
queuing_latency = Histogram(
    ":tensorflow:serving:batching_session:queuing_latency",
    "Microseconds that a request waited for its batch.",
    ("thread_pool_name",),
    exponential(100, 1.2, 52),
)
wrapped_run_count = Counter(":tensorflow:serving:batching_session:wrapped_run_count", "Batches run.")
input_batch_size = Histogram(
    ":tensorflow:serving:batching_session:input_batch_size", "Rows of a request that went into a batch.", (), SIZES
)
processed_batch_size = Histogram(
    ":tensorflow:serving:batching_session:processed_batch_size", "Rows of a batch, with padding.", (), SIZES
)
padding_size = Histogram(
    ":tensorflow:serving:batching_session:padding_size",
    "Rows added to a batch to reach an allowed size.",
    ("execution_batch_size",),
    SIZES,
)

# Ours

errors = Counter(
    "tfx_export_errors_total",
    "Requests that failed, by model, signature, API, entrypoint and status code.",
    ("model_name", "signature", "API", "entrypoint", "code"),
)
in_flight = Gauge("tfx_export_requests_in_flight", "Requests in flight.", ("entrypoint",))
queue_length = Gauge("tfx_export_batch_queue_length", "Requests waiting for a batch.", ("model_name",))
model_load_seconds = Gauge(
    "tfx_export_model_load_seconds",
    "Seconds that the last successful load took, including preparation and warmup.",
    ("model_path",),
    combine=max,
)
model_memory_bytes = Gauge(
    "tfx_export_model_memory_bytes",
    "Growth of private memory while the version was loaded, and the weights that it maps from files; an estimate if "
    "several were loaded at once. Workers share what is mapped, which counts once.",
    ("model_path",),
    combine=Memory.combined,
)
model_prepare_seconds = Gauge(
    "tfx_export_model_prepare_seconds",
    "Seconds of the load that the preparation of the version took; absent if it was found prepared.",
    ("model_path",),
    combine=max,
)
model_state = Gauge(
    "tfx_export_model_state",
    "State of the version: 10 START, 20 LOADING, 30 AVAILABLE, 40 UNLOADING, 50 END.",
    ("model_name", "version"),
    combine=min,
)
request_log_dropped = Counter(
    "tfx_export_request_log_dropped_total",
    "Sampled requests that were not logged because the writer could not keep up.",
    ("model_name",),
)

ALL: tuple[Metric, ...] = (
    request_count,
    request_latency,
    runtime_latency,
    request_example_counts,
    request_example_count_total,
    request_log_count,
    model_warmup_latency,
    model_warmup_records_read,
    load_attempt_count,
    load_latency,
    mlmd_map,
    queuing_latency,
    wrapped_run_count,
    input_batch_size,
    processed_batch_size,
    padding_size,
    errors,
    in_flight,
    queue_length,
    model_load_seconds,
    model_memory_bytes,
    model_prepare_seconds,
    model_state,
    request_log_dropped,
    *PROCESS_METRICS,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def snapshot() -> Snapshot:
    """Returns the current readings of all metrics in this process."""
    return {metric.name: metric.readings() for metric in ALL}


def combined(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Returns the snapshots of several processes combined into one."""
    if len(snapshots) == 1:
        return snapshots[0]
    found: dict[str, dict[Labels, Reading]] = {}
    for metric in ALL:
        parts = [each[metric.name] for each in snapshots]
        cells = {labels for part in parts for labels in part}
        found[metric.name] = {
            labels: metric.combine([part[labels] for part in parts if labels in part]) for labels in cells
        }
    return found


def first_value(snapshot: Snapshot, name: str) -> int:
    """Returns the value of the first cell, as upstream does for a metric; 0 for a histogram or a missing metric."""
    for _, reading in sorted(snapshot.get(name, {}).items()):
        return 0 if isinstance(reading, tuple) else int(reading)
    return 0


def page(snapshot: Snapshot | None = None) -> bytes:
    """Returns all metrics in Prometheus' text format, with their current readings or those of `snapshot`."""
    return render(ALL, snapshot).encode()
