"""The metrics page, read with Prometheus' own parser."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve import metrics
from serve.metrics.instruments import MAX_CELLS, Counter, Gauge, Histogram, Memory, exponential, page

# Names and labels, as tensorflow_serving and tensorflow/cc/saved_model/loader.cc define them.
UPSTREAM = {
    ":tensorflow:serving:request_count": ("model_name", "status"),
    ":tensorflow:serving:request_latency": ("model_name", "API", "entrypoint"),
    ":tensorflow:serving:runtime_latency": ("model_name", "API", "runtime"),
    ":tensorflow:serving:request_example_counts": ("model",),
    ":tensorflow:serving:request_example_count_total": ("model",),
    ":tensorflow:serving:request_log_count": ("model_name", "status_code"),
    ":tensorflow:serving:model_warmup_latency": ("model_path", "status"),
    ":tensorflow:serving:model_warmup_records_read": ("model_path", "status"),
    ":tensorflow:cc:saved_model:load_attempt_count": ("model_path", "status"),
    ":tensorflow:cc:saved_model:load_latency": ("model_path",),
    # The label mlmd_uuid is ours: it holds the string that is upstream's value.
    ":tensorflow:serving:mlmd_map": ("model_name", "version", "mlmd_uuid"),
    ":tensorflow:serving:batching_session:queuing_latency": ("thread_pool_name",),
    ":tensorflow:serving:batching_session:wrapped_run_count": (),
    ":tensorflow:serving:batching_session:input_batch_size": (),
    ":tensorflow:serving:batching_session:processed_batch_size": (),
    ":tensorflow:serving:batching_session:padding_size": ("execution_batch_size",),
}


@pytest.mark.parametrize("name", UPSTREAM)
def test_upstream_metric_has_upstream_labels(name: str) -> None:
    found = next(metric for metric in metrics.ALL if metric.name == name)
    assert found.labels == UPSTREAM[name]  # type: ignore[attr-defined]


def test_buckets_are_formatted_as_upstream() -> None:
    latency = Histogram("latency", "", ("API",), exponential(10, 1.8, 33))
    latency.observe("Predict", amount=100)
    lines = page([latency]).splitlines()
    limits = [line.split('le="')[1].split('"')[0] for line in lines if "_bucket" in line]
    assert limits[:6] == ["10", "18", "32.4", "58.32", "104.976", "188.957"]
    assert limits[-2:] == ["1.47476e+09", "+Inf"]
    assert 'latency_bucket{API="Predict",le="58.32"} 0' in lines
    assert 'latency_bucket{API="Predict",le="104.976"} 1' in lines
    assert 'latency_sum{API="Predict"} 100' in lines


def test_prometheus_parses_the_page() -> None:
    count = Counter(":a:count", "Requests.", ("model_name",))
    count.add('quote " backslash \\ newline \n', amount=2)
    gauge = Gauge("b", "Bytes.")
    gauge.set(value=1.5)
    sizes = Histogram("c", "Sizes.", (), exponential(1, 2, 3))
    for size in (0, 1, 2, 3, 100):
        sizes.observe(amount=size)
    families = {family.name: family for family in text_string_to_metric_families(page([count, gauge, sizes]))}
    (sample,) = families[":a:count"].samples
    assert (sample.labels, sample.value) == ({"model_name": 'quote " backslash \\ newline \n'}, 2.0)
    assert families["b"].samples[0].value == 1.5
    assert {s.labels["le"]: s.value for s in families["c"].samples if s.name == "c_bucket"} == {
        "1": 2, "2": 3, "4": 4, "+Inf": 5
    }  # fmt: skip


def test_whole_page_is_valid_and_has_process_metrics() -> None:
    metrics.request_count.add("mnist", "OK")
    families = {family.name: family for family in text_string_to_metric_families(metrics.page().decode())}
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6
    assert families["process_cpu_seconds"].samples[0].value > 0
    assert ":tensorflow:serving:request_count" in families


def test_cells_are_limited_because_clients_choose_names() -> None:
    count = Counter("count", "", ("model_name",))
    for number in range(MAX_CELLS + 500):
        count.add(f"model{number}")
    cells = dict(count.cells())
    assert len(cells) == MAX_CELLS + 1
    assert cells[("other",)].value == 500


def test_gauge_calls_its_sources_for_each_page() -> None:
    lengths: dict[tuple[str, ...], float] = {("a",): 1.0}
    gauge = Gauge("queue", "", ("model",))
    gauge.read_from(lambda: lengths)
    assert 'queue{model="a"} 1' in page([gauge])
    lengths[("b",)] = 2.0
    assert 'queue{model="b"} 2' in page([gauge])


def test_snapshots_of_several_processes_make_one_page() -> None:
    metrics.request_count.add("together", "OK", amount=3)
    metrics.request_latency.observe("together", "Predict", "GRPC", amount=100)
    mine = metrics.snapshot()
    memory = "tfx_export_model_memory_bytes"
    theirs: metrics.Snapshot = {
        **mine,
        "tfx_export_model_state": {("m", "1"): 20.0},
        memory: {("m/1",): Memory(private=20, mapped=500)},
    }
    mine = {
        **mine,
        "tfx_export_model_state": {("m", "1"): 30.0, ("n", "1"): 30.0},
        memory: {("m/1",): Memory(private=30, mapped=500)},
    }
    lines = metrics.page(metrics.combined([mine, theirs])).decode().splitlines()
    assert ':tensorflow:serving:request_count{model_name="together",status="OK"} 6' in lines
    labels = 'model_name="together",API="Predict",entrypoint="GRPC"'
    assert f":tensorflow:serving:request_latency_sum{{{labels}}} 200" in lines
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="104.976"}} 2' in lines
    # Mapped files are shared.
    assert 'tfx_export_model_memory_bytes{model_path="m/1"} 550' in lines
    # The lowest state counts.
    assert 'tfx_export_model_state{model_name="m",version="1"} 20' in lines
    assert 'tfx_export_model_state{model_name="n",version="1"} 30' in lines
    families = {family.name: family for family in text_string_to_metric_families("\n".join(lines) + "\n")}
    started = families["process_start_time_seconds"].samples[0].value
    assert started == mine["process_start_time_seconds"][()]
