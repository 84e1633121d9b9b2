"""Classify, Regress, metadata and status: clients for gRPC and REST with one interface."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import grpc
import numpy as np
from google.protobuf import json_format
from google.protobuf.message import Message

from tests.support.protocols import RefusedError, Target, checked, path
from tests.support.server import Server
from tfx_export import wire

M = TypeVar("M", bound=Message)
R = TypeVar("R", wire.ClassificationRequest, wire.RegressionRequest)

# Feature name -> its values; all values of a feature are bytes, or integers, or floats.
Example = Mapping[str, Sequence[bytes | int | float]]
FIELDS: dict[type, str] = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class ExampleClient(Protocol):
    """Sends requests over one protocol. Each method raises RefusedError."""

    is_rest: bool

    def classify(
        self, target: Target, examples: Sequence[Example], context: Example | None = None
    ) -> list[list[tuple[str, float]]]: ...

    def regress(self, target: Target, examples: Sequence[Example], context: Example | None = None) -> list[float]: ...

    def metadata(self, target: Target) -> wire.SignatureDefMap:
        """Returns the SignatureDefMap."""
        ...

    def status(self, target: Target) -> dict[int, str]:
        """Returns the state of each version by its number, in the order of the response."""
        ...


class GrpcExampleClient:
    """Requests over gRPC."""

    is_rest = False

    def __init__(self, server: Server) -> None:
        self._channel = server.channel()

    def classify(
        self, target: Target, examples: Sequence[Example], context: Example | None = None
    ) -> list[list[tuple[str, float]]]:
        request = _filled(wire.ClassificationRequest(), target, examples, context)
        response = self._send("PredictionService/Classify", request, wire.ClassificationResponse)
        assert response.model_spec.name == target.model
        return _classes(response.result)

    def regress(self, target: Target, examples: Sequence[Example], context: Example | None = None) -> list[float]:
        request = _filled(wire.RegressionRequest(), target, examples, context)
        response = self._send("PredictionService/Regress", request, wire.RegressionResponse)
        assert response.model_spec.name == target.model
        return _values(response.result)

    def multi_inference(
        self, tasks: Sequence[tuple[Target, str]], examples: Sequence[Example], context: Example | None = None
    ) -> list[list[float] | list[list[tuple[str, float]]]]:
        """Returns one result for each task, a target with `classify` or `regress`. gRPC only."""
        request = wire.MultiInferenceRequest()
        for target, method in tasks:
            task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
            _name(task.model_spec, target)
        _fill_input(request.input, examples, context)
        response = self._send("PredictionService/MultiInference", request, wire.MultiInferenceResponse)
        requested = [(target.model, target.signature or "serving_default") for target, _ in tasks]
        assert [(each.model_spec.name, each.model_spec.signature_name) for each in response.results] == requested
        return [
            _values(each.regression_result)
            if each.WhichOneof("result") == "regression_result"
            else _classes(each.classification_result)
            for each in response.results
        ]

    def metadata(self, target: Target) -> wire.SignatureDefMap:
        request = wire.GetModelMetadataRequest(metadata_field=["signature_def"])
        _name(request.model_spec, target)
        response = self._send("PredictionService/GetModelMetadata", request, wire.GetModelMetadataResponse)
        signatures = wire.SignatureDefMap()
        assert response.metadata["signature_def"].Unpack(signatures)
        return signatures

    def status(self, target: Target) -> dict[int, str]:
        request = wire.GetModelStatusRequest()
        _name(request.model_spec, target)
        response = self._send("ModelService/GetModelStatus", request, wire.GetModelStatusResponse)
        return {each.version: STATES[each.state] for each in response.model_version_status}

    def _send(self, method: str, request: Message, response: type[M]) -> M:
        call = self._channel.unary_unary(
            f"/tensorflow.serving.{method}", type(request).SerializeToString, response.FromString
        )
        try:
            answer: M = call(request, timeout=60)
        except grpc.RpcError as error:
            raise RefusedError(error.code().name, error.details() or "") from None
        return answer


class RestExampleClient:
    """Requests over REST."""

    is_rest = True

    def __init__(self, server: Server) -> None:
        self._server = server

    def classify(
        self, target: Target, examples: Sequence[Example], context: Example | None = None
    ) -> list[list[tuple[str, float]]]:
        results = self._post("classify", target, examples, context)
        return [[(label, float(np.float32(score))) for label, score in row] for row in results]

    def regress(self, target: Target, examples: Sequence[Example], context: Example | None = None) -> list[float]:
        # JSON has the shortest text that identifies a float32.
        return [float(np.float32(value)) for value in self._post("regress", target, examples, context)]

    def metadata(self, target: Target) -> wire.SignatureDefMap:
        reply = checked(self._server.request("GET", f"{path(target)}/metadata"))
        signatures = wire.SignatureDefMap()
        for name, signature in reply.json["metadata"]["signature_def"]["signature_def"].items():
            json_format.ParseDict(signature, signatures.signature_def[name])
        return signatures

    def status(self, target: Target) -> dict[int, str]:
        reply = checked(self._server.request("GET", path(target)))
        return {int(each["version"]): each["state"] for each in reply.json["model_version_status"]}

    def _post(self, verb: str, target: Target, examples: Sequence[Example], context: Example | None) -> Any:
        content: dict[str, Any] = {"examples": [_plain(example) for example in examples]}
        if target.signature:
            content["signature_name"] = target.signature
        if context is not None:
            content["context"] = _plain(context)
        return checked(self._server.post(f"{path(target)}:{verb}", content)).json["results"]


def _name(spec: wire.ModelSpec, target: Target) -> None:
    spec.name = target.model
    spec.signature_name = target.signature
    if target.version is not None:
        spec.version.value = target.version
    if target.label is not None:
        spec.version_label = target.label


def _filled(request: R, target: Target, examples: Sequence[Example], context: Example | None) -> R:
    _name(request.model_spec, target)
    _fill_input(request.input, examples, context)
    return request


def _fill_input(proto: wire.Input, examples: Sequence[Example], context: Example | None) -> None:
    if context is None:
        listed = proto.example_list.examples
    else:
        listed = proto.example_list_with_context.examples
        _fill(proto.example_list_with_context.context, context)
    for example in examples:
        _fill(listed.add(), example)


def _values(result: wire.RegressionResult) -> list[float]:
    return [each.value for each in result.regressions]


def _classes(result: wire.ClassificationResult) -> list[list[tuple[str, float]]]:
    return [[(each.label, each.score) for each in row.classes] for row in result.classifications]


def _fill(proto: wire.Example, example: Example) -> None:
    for name, values in example.items():
        getattr(proto.features.feature[name], FIELDS[type(values[0])]).value.extend(values)


def _plain(example: Example) -> dict[str, Any]:
    """Returns an example as JSON: a single value without a list, bytes as base64."""
    plain = {
        name: [{"b64": base64.b64encode(each).decode()} if isinstance(each, bytes) else each for each in values]
        for name, values in example.items()
    }
    return {name: values[0] if len(values) == 1 else values for name, values in plain.items()}
