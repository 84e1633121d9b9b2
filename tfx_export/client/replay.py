"""Sends logged requests again. Each PredictionLog holds a request and the response that it got at the time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tfx_export import wire
from tfx_export.client import Client, ServerError
from tfx_export.client.calls import PREDICTION_SERVICE, Model, UnaryCall
from tfx_export.savedmodel import tensor

Arrays: TypeAlias = dict[str, np.ndarray]


@dataclass(frozen=True)
class ReplayedRequest:
    """A logged request that was sent again, with the logged outputs and the new ones.

    `index` is the position of its record in the log. `answer` is None if the server refused; `error` then says why.
    """

    index: int
    model: str
    signature: str
    logged: Arrays
    answer: Arrays | None
    error: str = ""


def replay(
    logs: Iterable[wire.PredictionLog], client: Client, target: Callable[[Model], Model]
) -> Iterator[ReplayedRequest]:
    """Sends the requests in `logs` again and yields the results. Skips records without a request (sessions, streams).

    `target` returns the model to send a request to, given the model in the log.
    Raises ServerError if the server is not reachable for the first request.
    """
    for index, log in enumerate(logs):
        kind = log.WhichOneof("log_type")
        if kind not in _KINDS:
            continue
        method, read = _KINDS[kind]
        logged = getattr(log, kind)
        specs = _specs(logged.request)
        for spec in specs:
            model = target(_model(spec))
            spec.CopyFrom(model.spec())
        answer: Arrays | None = None
        error = ""
        try:
            answer = client.send(UnaryCall(PREDICTION_SERVICE, method, logged.request, read))
        except ServerError as refused:
            if refused.code == "UNAVAILABLE" and index == 0:
                raise
            error = str(refused)
        first = specs[0] if specs else wire.ModelSpec()
        logged_answer = read(logged.response) if logged.HasField("response") else {}
        yield ReplayedRequest(index, first.name, first.signature_name, logged_answer, answer, error)


def _model(spec: wire.ModelSpec) -> Model:
    choice = spec.WhichOneof("version_choice")
    return Model(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
        spec.signature_name,
    )


def _specs(request: wire.LoggedRequest) -> list[wire.ModelSpec]:
    if isinstance(request, wire.MultiInferenceRequest):
        return [task.model_spec for task in request.tasks]
    return [request.model_spec]


def _predicted(response: wire.PredictResponse) -> Arrays:
    return {name: tensor.decode(proto) for name, proto in response.outputs.items()}


def _classified(response: wire.ClassificationResponse) -> Arrays:
    classes = [one.classes for one in response.result.classifications]
    return {
        "labels": np.array([each.label.encode() for one in classes for each in one], dtype=object),
        "scores": np.array([each.score for one in classes for each in one], dtype=np.float32),
    }


def _regressed(response: wire.RegressionResponse) -> Arrays:
    return {"values": np.array([one.value for one in response.result.regressions], dtype=np.float32)}


def _inferred(response: wire.MultiInferenceResponse) -> Arrays:
    arrays: Arrays = {}
    for number, result in enumerate(response.results):
        kind = result.WhichOneof("result")
        classified = kind == "classification_result"
        part = (
            _classified(wire.ClassificationResponse(result=result.classification_result))
            if classified
            else _regressed(wire.RegressionResponse(result=result.regression_result))
        )
        arrays.update({f"{number}.{name}": array for name, array in part.items()})
    return arrays


_KINDS: dict[str, tuple[str, Callable[[Any], Arrays]]] = {
    "predict_log": ("Predict", _predicted),
    "classify_log": ("Classify", _classified),
    "regress_log": ("Regress", _regressed),
    "multi_inference_log": ("MultiInference", _inferred),
}
