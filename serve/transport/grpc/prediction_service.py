"""tensorflow.serving.PredictionService."""

import sys
import time
from collections.abc import Callable

import numpy as np
from google.protobuf.struct_pb2 import Struct
from numpy.typing import NDArray

from serve.api import Api, predict_signature
from serve.classify_regress import Classification, InferenceTask, fill_classification, fill_regression
from serve.codec.example import decode_input
from serve.codec.predict_request import PredictReader, PredictRequest
from serve.codec.predict_response import predict_response
from serve.codec.signature_def_map import signature_def_map
from serve.codec.tensor import decode
from serve.config import Config
from serve.errors import Code, ServeError
from serve.lifecycle.harness import Lease
from serve.lifecycle.state import ModelRef
from serve.request import tracing
from serve.transport.grpc.method import CallContext, Handler, SerializedResponse
from serve.transport.grpc.model_spec import fill_model_spec, model_ref, spec_of
from tfx_export import wire

SERVICE = "tensorflow.serving.PredictionService"

# The fields of GetModelMetadata. The second one is ours: TensorFlow Serving refuses it, as any other that it lacks.
SIGNATURE_DEF = "signature_def"
LOAD_REPORT = "load_report"


def readers(config: Config) -> dict[str, Callable[[bytes], PredictRequest]]:
    """Returns path -> a function that reads a request from bytes, for methods that do not use the rpc's message."""
    return {f"/{SERVICE}/Predict": PredictReader(config.max_tensor_elements or sys.maxsize).read}


def handlers(api: Api, config: Config) -> dict[str, Handler]:
    """Returns path -> handler."""
    service = PredictionService(api, config)
    return {
        f"/{SERVICE}/Predict": service.predict,
        f"/{SERVICE}/Classify": service.classify,
        f"/{SERVICE}/Regress": service.regress,
        f"/{SERVICE}/MultiInference": service.multi_inference,
        f"/{SERVICE}/GetModelMetadata": service.get_model_metadata,
    }


class PredictionService:
    def __init__(self, api: Api, config: Config) -> None:
        self._api = api
        self._as_content = config.enable_serialization_as_tensor_content

    async def predict(self, request: PredictRequest, context: CallContext) -> SerializedResponse:
        spec = spec_of(request.head)
        with self._api.lease(model_ref(spec)) as lease:
            signature = predict_signature(lease, spec.signature_name)
            began = time.time_ns()
            inputs = request.inputs()
            # As in TensorFlow Serving, gRPC uses the default values of inputs and REST does not.
            for name, proto in signature.defaults.items():
                if name not in inputs:
                    inputs[name] = decode(proto)
            if tracing.tracer:
                tracing.record_span("decode", began)
            outputs = await self._api.predict(lease, signature, inputs, request.head.output_filter)
            began = time.time_ns()
            response = predict_response(lease.name, lease.version, signature, outputs, as_content=self._as_content)
            if tracing.tracer:
                tracing.record_span("encode", began)
            return SerializedResponse(response)

    async def classify(self, request: wire.ClassificationRequest, context: CallContext) -> wire.ClassificationResponse:
        spec = spec_of(request)
        with self._api.lease(model_ref(spec)) as lease:
            result = await self._api.classify(lease, spec.signature_name, _examples(request))
            with tracing.span("encode"):
                response = wire.ClassificationResponse()
                fill_model_spec(response.model_spec, lease, spec.signature_name)
                fill_classification(response.result, result)
                return response

    async def regress(self, request: wire.RegressionRequest, context: CallContext) -> wire.RegressionResponse:
        spec = spec_of(request)
        with self._api.lease(model_ref(spec)) as lease:
            result = await self._api.regress(lease, spec.signature_name, _examples(request))
            with tracing.span("encode"):
                response = wire.RegressionResponse()
                fill_model_spec(response.model_spec, lease, spec.signature_name)
                fill_regression(response.result, result)
                return response

    async def multi_inference(
        self, request: wire.MultiInferenceRequest, context: CallContext
    ) -> wire.MultiInferenceResponse:
        specs = [task.model_spec for task in request.tasks] or [wire.ModelSpec()]
        tasks = [InferenceTask(task.model_spec.signature_name, task.method_name) for task in request.tasks]
        response = wire.MultiInferenceResponse()
        # The version of the first task is used for all, like in TensorFlow Serving.
        with self._api.lease(model_ref(specs[0])) as lease:
            if not all(spec.name for spec in specs):
                raise ServeError(Code.INVALID_ARGUMENT, "Found ModelSpec with an empty model name.")
            if len({spec.name for spec in specs}) > 1:
                raise ServeError(
                    Code.INVALID_ARGUMENT, "All ModelSpecs in a MultiInferenceRequest must access the same model name."
                )
            results = await self._api.multi_inference(lease, tasks, _examples(request))
            with tracing.span("encode"):
                for spec, result in zip(specs, results, strict=True):
                    message = response.results.add()
                    fill_model_spec(message.model_spec, lease, spec.signature_name)
                    if isinstance(result, Classification):
                        fill_classification(message.classification_result, result)
                    else:
                        fill_regression(message.regression_result, result)
        return response

    async def get_model_metadata(
        self, request: wire.GetModelMetadataRequest, context: CallContext
    ) -> wire.GetModelMetadataResponse:
        spec = spec_of(request)
        if not request.metadata_field:
            raise ServeError(Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field not in (SIGNATURE_DEF, LOAD_REPORT):
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"Metadata field {field} is not supported. There is: {SIGNATURE_DEF}, {LOAD_REPORT}",
                )
        response = wire.GetModelMetadataResponse()
        with self._api.lease(model_ref(spec)) as lease:
            fill_model_spec(response.model_spec, lease)
            if SIGNATURE_DEF in request.metadata_field:
                response.metadata[SIGNATURE_DEF].Pack(signature_def_map(lease.model.signatures))
            if LOAD_REPORT in request.metadata_field:
                response.metadata[LOAD_REPORT].Pack(await self._load_report(lease))
        return response

    async def _load_report(self, lease: Lease) -> Struct:
        (status,) = await self._api.status(ModelRef(lease.name, lease.version))
        members = Struct()
        members.update(status.report.to_json() if status.report else {})
        return members


def _examples(
    request: wire.ClassificationRequest | wire.RegressionRequest | wire.MultiInferenceRequest,
) -> NDArray[np.object_]:
    with tracing.span("decode"):
        return decode_input(request.input)
