"""predict, classify and regress over HTTP: JSON like TensorFlow Serving, and protobuf or npy, which are faster."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from google.protobuf.message import DecodeError

from serve.api import Api, predict_signature
from serve.codec.json import response as json_response
from serve.codec.json.example_request import read_examples
from serve.codec.json.predict_request import JsonPredictReader, JsonRequest
from serve.codec.npy import read_npy, write_npy
from serve.codec.predict_response import predict_response
from serve.codec.tensor import decode_all
from serve.config import Config
from serve.errors import Code, ServeError
from serve.lifecycle.harness import Lease
from serve.request import tracing
from serve.transport.rest.message import Request, Response
from serve.transport.rest.route import Route
from tfx_export import wire
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE
from tfx_export.savedmodel.tensor import MAX_RANK

PROTOBUF = frozenset({"application/x-protobuf", "application/protobuf"})
NPY = "application/x-npy"

# JSON with at least this many bytes, and responses of arrays of this size, are converted on a thread: converting them
# on the event loop would delay other requests for longer than the switch to a thread takes.
_LARGE = 1 << 20


class Inference:
    def __init__(self, api: Api, config: Config) -> None:
        self._api = api
        self._reader = JsonPredictReader()
        self._depth = config.max_json_depth or MAX_RANK
        self._max_elements = config.max_tensor_elements
        self._as_content = config.enable_serialization_as_tensor_content

    def respond(self, route: Route, request: Request) -> Coroutine[Any, Any, Response]:
        if route.verb != "predict":
            return self._examples(route, request.body)
        media_type = request.media_type
        if media_type in PROTOBUF:
            return self._predict_protobuf(route, request.body)
        if media_type == NPY:
            return self._predict_npy(route, request)
        return self._predict_json(route, request.body)

    async def _predict_json(self, route: Route, body: bytes) -> Response:
        began = time.time_ns()
        is_large = len(body) >= _LARGE
        document = await asyncio.to_thread(JsonRequest, body) if is_large else self._reader.read(body)
        with self._api.lease(route.ref) as lease:
            signature = lease.model.signatures.get(document.signature_name or DEFAULT_SIGNATURE)
            if signature is None:
                raise _no_signature(lease, document.signature_name)
            if is_large:
                inputs = await asyncio.to_thread(document.inputs, signature, self._depth)
            else:
                inputs = document.inputs(signature, self._depth)
            if tracing.tracer:
                tracing.record_span("decode", began)
            outputs = await self._api.predict(lease, signature, inputs)
        began = time.time_ns()
        size = 0
        for array in outputs.values():
            size += array.nbytes
        if size >= _LARGE:
            response = await asyncio.to_thread(json_response.predictions, outputs, document.is_row_format)
        else:
            response = json_response.predictions(outputs, document.is_row_format)
        if tracing.tracer:
            tracing.record_span("encode", began)
        return Response(response)

    async def _predict_protobuf(self, route: Route, body: bytes) -> Response:
        """Handles a PredictRequest for the model in the path. Returns a PredictResponse."""
        began = time.time_ns()
        try:
            message = wire.PredictRequest.FromString(body)
        except DecodeError:
            raise ServeError(
                Code.INVALID_ARGUMENT, "The body is not a valid tensorflow.serving.PredictRequest"
            ) from None
        with self._api.lease(route.ref) as lease:
            signature = predict_signature(lease, message.model_spec.signature_name)
            inputs = decode_all({**signature.defaults, **message.inputs}, max_elements=self._max_elements)
            if tracing.tracer:
                tracing.record_span("decode", began)
            outputs = await self._api.predict(lease, signature, inputs, message.output_filter)
            with tracing.span("encode"):
                response = predict_response(lease.name, lease.version, signature, outputs, as_content=self._as_content)
                return Response(response, "application/x-protobuf")

    async def _predict_npy(self, route: Route, request: Request) -> Response:
        """Handles the array of the only input. Returns the array of the only output, or of the one in `?output=`."""
        name = request.query.get("signature_name", "")
        with self._api.lease(route.ref) as lease:
            signature = predict_signature(lease, name)
            if len(signature.inputs) != 1:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"An npy body holds one array, signature {signature.name} has the inputs "
                    f"{', '.join(signature.inputs)}: send JSON or a PredictRequest",
                )
            ((alias, spec),) = signature.inputs.items()
            outputs = [request.query["output"]] if "output" in request.query else list(signature.outputs)
            if len(outputs) != 1:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"An npy body holds one array, signature {signature.name} has the outputs {', '.join(outputs)}: "
                    f"name one, as in ?output={outputs[0]}",
                )
            with tracing.span("decode"):
                array = read_npy(request.body, spec.dtype)
            arrays = await self._api.predict(lease, signature, {alias: array}, outputs)
        with tracing.span("encode"):
            return Response(write_npy(arrays[outputs[0]]), NPY)

    async def _examples(self, route: Route, body: bytes) -> Response:
        with tracing.span("decode"):
            is_large = len(body) >= _LARGE
            document = await asyncio.to_thread(JsonRequest, body) if is_large else JsonRequest(body)
            name = document.signature_name
            examples = await asyncio.to_thread(read_examples, document) if is_large else read_examples(document)
        with self._api.lease(route.ref) as lease:
            if route.verb == "classify":
                result = await self._api.classify(lease, name, examples)
                with tracing.span("encode"):
                    return Response(json_response.classification(result.labels, result.scores))
            values = (await self._api.regress(lease, name, examples)).values
            with tracing.span("encode"):
                return Response(json_response.regression(values))


def _no_signature(lease: Lease, name: str) -> ServeError:
    """Returns the error for a missing signature, which has another code and text in TensorFlow Serving's REST API."""
    existing = ", ".join(sorted(lease.model.signatures)) or "none"
    return ServeError(
        Code.INVALID_ARGUMENT,
        f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def. '
        f"Signatures of the model: {existing}",
    )
