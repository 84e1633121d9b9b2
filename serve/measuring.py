"""MeasuredRunner and BatchingMetrics: record the time of model runs and the sizes of batches."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from serve import metrics
from serve.classify_regress import INPUTS
from serve.execution.runner import Runner
from serve.lifecycle.harness import Lease
from serve.request import tracing
from serve.request.call_record import CURRENT
from tfx_export.savedmodel.signature import Signature

# Upstream's names of its runtimes.
RUNTIMES = {"tensorflow": "TF1"}

# APIs whose requests are tf.Examples.
EXAMPLE_APIS = frozenset({"classify", "regress", "multiinference"})


class MeasuredRunner:
    """A runner that records the run times of another runner. They include the wait for a batch, as upstream."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def run(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        call = CURRENT.get()
        if call is None:
            return await self._runner.run(lease, signature, inputs, outputs)
        call.version = lease.version
        call.signature = signature.name
        if INPUTS in inputs and call.api.lower() in EXAMPLE_APIS:
            metrics.request_example_counts.observe(lease.name, amount=len(inputs[INPUTS]))
            metrics.request_example_count_total.add(lease.name, amount=len(inputs[INPUTS]))
        started = time.perf_counter()
        work = self._runner.run(lease, signature, inputs, outputs)
        results = await (tracing.traced("run", work) if tracing.tracer else work)
        micros = (time.perf_counter() - started) * 1e6
        engine = lease.model.engine
        # Over REST the names of the APIs are in lower case, but in this metric upstream capitalizes both.
        api = call.api[:1].upper() + call.api[1:]
        metrics.runtime_latency[lease.name, api, RUNTIMES.get(engine, engine)].observe(micros)
        return results

    def close(self) -> None:
        self._runner.close()


class BatchingMetrics:
    """A BatchingObserver that fills upstream's batching metrics."""

    def __init__(self, thread_pool_name: str) -> None:
        # Cells are looked up once, because every request updates them.
        self._queuing_latency = metrics.queuing_latency[(thread_pool_name,)]
        self._runs = metrics.wrapped_run_count[()]
        self._input_size = metrics.input_batch_size[()]
        self._processed_size = metrics.processed_batch_size[()]

    def queue_length(self, model: str, change: int) -> None:
        metrics.queue_length[(model,)].add(change)

    def queued(self, model: str, rows: int, seconds: float) -> None:
        self._input_size.observe(rows)
        self._queuing_latency.observe(seconds * 1e6)

    def batch(self, model: str, rows: int, padding: int) -> None:
        self._runs.add()
        self._processed_size.observe(rows + padding)
        metrics.padding_size.observe(str(rows + padding), amount=padding)
