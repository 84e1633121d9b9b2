"""LoggedApi: an Api that writes a sample of its requests to the request log."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve.api import Api
from serve.classify_regress import Classification, Regression, fill_classification, fill_regression
from serve.codec.tensor import encode
from serve.config import Config
from serve.execution.runner import Runner
from serve.lifecycle.harness import Lease
from serve.lifecycle.manager import Manager
from serve.models.catalog import Catalog
from serve.models.peers import Peers
from serve.request_log.log import RequestLog, Rule
from tfx_export import wire
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature


class LoggedApi(Api):
    """An Api with a request log. It keeps arrays as they are; the thread of the log encodes them."""

    def __init__(
        self, manager: Manager, catalog: Catalog, runner: Runner, config: Config, peers: Peers, log: RequestLog
    ) -> None:
        super().__init__(manager, catalog, runner, config, peers)
        self._log = log

    def predict(
        self, lease: Lease, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> Coroutine[Any, Any, dict[str, np.ndarray]]:
        work = super().predict(lease, signature, inputs, outputs)
        rule = self._log.sample(lease.name) if self._log.rules else None
        return work if rule is None else self._logged(work, rule, lease, signature, inputs, outputs)

    async def _logged(
        self,
        work: Coroutine[Any, Any, dict[str, np.ndarray]],
        rule: Rule,
        lease: Lease,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
    ) -> dict[str, np.ndarray]:
        results = await work
        spec = _spec(lease, signature.name)
        kept = dict(inputs)
        self._log.put(rule, spec, _size(kept, results), _predict_log(signature, spec, kept, results, tuple(outputs)))
        return results

    async def classify(self, lease: Lease, signature: str, examples: NDArray[np.object_]) -> Classification:
        result = await super().classify(lease, signature, examples)
        if rule := self._log.sample(lease.name):
            spec = _spec(lease, signature)

            def fill(log: wire.PredictionLog) -> None:
                _fill_request(log.classify_log, spec, examples)
                fill_classification(log.classify_log.response.result, result)

            self._log.put(rule, spec, sum(map(len, examples)), fill)
        return result

    async def regress(self, lease: Lease, signature: str, examples: NDArray[np.object_]) -> Regression:
        result = await super().regress(lease, signature, examples)
        if rule := self._log.sample(lease.name):
            spec = _spec(lease, signature)

            def fill(log: wire.PredictionLog) -> None:
                _fill_request(log.regress_log, spec, examples)
                fill_regression(log.regress_log.response.result, result)

            self._log.put(rule, spec, sum(map(len, examples)), fill)
        return result


def _predict_log(
    signature: Signature,
    spec: wire.ModelSpec,
    inputs: Mapping[str, np.ndarray],
    results: Mapping[str, np.ndarray],
    outputs: Sequence[str],
) -> Callable[[wire.PredictionLog], None]:
    def fill(log: wire.PredictionLog) -> None:
        request, response = log.predict_log.request, log.predict_log.response
        request.model_spec.CopyFrom(spec)
        response.model_spec.CopyFrom(spec)
        request.output_filter.extend(outputs)
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(encode(array, as_content=True, dtype=signature.inputs[name].dtype))
        for name, array in results.items():
            response.outputs[name].CopyFrom(encode(array, as_content=True, dtype=signature.outputs[name].dtype))

    return fill


def _fill_request(log: wire.ClassifyLog | wire.RegressLog, spec: wire.ModelSpec, examples: NDArray[np.object_]) -> None:
    log.request.model_spec.CopyFrom(spec)
    log.response.model_spec.CopyFrom(spec)
    parsed = log.request.input.example_list.examples
    for example in examples:
        parsed.append(wire.Example.FromString(example))


def _spec(lease: Lease, signature: str) -> wire.ModelSpec:
    spec = wire.ModelSpec(name=lease.name, signature_name=signature or DEFAULT_SIGNATURE)
    spec.version.value = lease.version
    return spec


def _size(*arrays: Mapping[str, np.ndarray]) -> int:
    return sum(array.nbytes for each in arrays for array in each.values())
