"""What the server counts and measures, in one process-wide list, as upstream's registry is.

The first block has upstream's names, labels, units (microseconds) and buckets; dashboards made for TensorFlow Serving
go on working. The second block is ours, in Prometheus' own conventions (base units, `_total`).

Record with `metrics.request_count.add("mnist", "OK")`; where it is hot, `metrics.request_count["mnist", "OK"].add()`.
"""

from collections.abc import Sequence

from serve.metrics.instruments import (
    Counter,
    Gauge,
    Histogram,
    Labels,
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
    "Microseconds from a request to its answer, of those that succeeded.",
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
    "Microseconds a version took to warm up.",
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
# Its value is text upstream, which Prometheus has not: there the page says 0. Here the text is one label more.
mlmd_map = Gauge(
    ":tensorflow:serving:mlmd_map",
    "1 for each version that has a UUID in ML Metadata (`assets.extra/mlmd_uuid`).",
    ("model_name", "version", "mlmd_uuid"),
    combine=max,
)
queuing_latency = Histogram(
    ":tensorflow:serving:batching_session:queuing_latency",
    "Microseconds a request waited for its batch.",
    ("thread_pool_name",),
    exponential(100, 1.2, 52),
)
wrapped_run_count = Counter(":tensorflow:serving:batching_session:wrapped_run_count", "Batches run.")
input_batch_size = Histogram(
    ":tensorflow:serving:batching_session:input_batch_size", "Rows of a request that went into a batch.", (), SIZES
)
processed_batch_size = Histogram(
    ":tensorflow:serving:batching_session:processed_batch_size", "Rows of a batch as it was run.", (), SIZES
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
in_flight = Gauge("tfx_export_requests_in_flight", "Requests that are being answered.", ("entrypoint",))
queue_length = Gauge("tfx_export_batch_queue_length", "Requests waiting for a batch.", ("model_name",))
model_load_seconds = Gauge(
    "tfx_export_model_load_seconds",
    "How long the last successful load took, warmup included.",
    ("model_path",),
    combine=max,
)
model_memory_bytes = Gauge(
    "tfx_export_model_memory_bytes",
    "By how much resident memory grew while the version was loaded; a guess where several load at once.",
    ("model_path",),
)
model_state = Gauge(
    "tfx_export_model_state",
    "State of the version: 10 START, 20 LOADING, 30 AVAILABLE, 40 UNLOADING, 50 END.",
    ("model_name", "version"),
    combine=min,
)
request_log_dropped = Counter(
    "tfx_export_request_log_dropped_total",
    "Sampled requests that were not logged, the writer being behind.",
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
    model_state,
    request_log_dropped,
    *PROCESS_METRICS,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def snapshot() -> Snapshot:
    """What this process has counted and measured until now."""
    return {metric.name: metric.readings() for metric in ALL}


def combined(snapshots: Sequence[Snapshot]) -> Snapshot:
    """The snapshots of several processes as one."""
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
    """What upstream takes for the value of a metric: that of its first cell, 0 where it is no whole number."""
    for _, reading in sorted(snapshot.get(name, {}).items()):
        return 0 if isinstance(reading, tuple) else int(reading)
    return 0


def page(snapshot: Snapshot | None = None) -> bytes:
    """Everything as it is, or was in `snapshot`, in Prometheus' text format."""
    return render(ALL, snapshot).encode()
