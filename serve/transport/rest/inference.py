"""predict, classify and regress over HTTP: JSON as upstream, and arrays without JSON for those who want speed."""

import asyncio
from functools import partial

from google.protobuf.message import DecodeError

from serve.api import Api, predict_signature
from serve.codec import json_answer
from serve.codec.json_examples import read_examples
from serve.codec.json_predict import JsonRequest
from serve.codec.json_row import RowReader
from serve.codec.npy import read_npy, write_npy
from serve.codec.predict_response import predict_response
from serve.codec.tensor import decode_all
from serve.config import Config
from serve.errors import Code, ServeError
from serve.lifecycle.lease import Lease
from serve.tracing import begin, span
from serve.transport.rest.message import Answer, Request
from serve.transport.rest.route import Route
from tfx_export import wire
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature
from tfx_export.savedmodel.tensor import MAX_RANK

PROTOBUF = frozenset({"application/x-protobuf", "application/protobuf"})
NPY = "application/x-npy"

# What takes longer than a hop to a thread and back should not hold up the event loop.
_LONG = 1 << 20


class Inference:
    def __init__(self, api: Api, config: Config) -> None:
        self._api = api
        self._rows = RowReader()
        self._depth = config.max_json_depth or MAX_RANK
        self._max_elements = config.max_tensor_elements
        self._as_content = config.enable_serialization_as_tensor_content

    async def answer(self, route: Route, request: Request) -> Answer:
        if route.verb != "predict":
            return await self._examples(route, request.body)
        media_type = request.media_type
        if media_type in PROTOBUF:
            return await self._predict_protobuf(route, request.body)
        if media_type == NPY:
            return await self._predict_npy(route, request)
        return await self._predict_json(route, request.body)

    async def _predict_json(self, route: Route, body: bytes) -> Answer:
        # One span for both halves; what cannot be decoded is told by the request's own.
        decoding = begin("decode")
        is_long = len(body) >= _LONG
        document = await asyncio.to_thread(JsonRequest, body) if is_long else self._rows.read(body)
        name = document.signature_name
        with self._api.lease(route.ref) as lease:
            signature = _signature(lease, name)
            read = partial(document.inputs, signature, self._depth)
            inputs = await asyncio.to_thread(read) if is_long else read()
            decoding.end()
            outputs = await self._api.predict(lease, name, inputs)
        with span("encode"):
            is_long = sum([array.nbytes for array in outputs.values()]) >= _LONG
            write = partial(json_answer.predictions, outputs, document.is_row_format)
            return Answer(await asyncio.to_thread(write) if is_long else write())

    async def _predict_protobuf(self, route: Route, body: bytes) -> Answer:
        """A PredictRequest, whose model the path names; answered with a PredictResponse."""
        decoding = begin("decode")
        try:
            message = wire.PredictRequest.FromString(body)
        except DecodeError:
            raise ServeError(Code.INVALID_ARGUMENT, "The body is no tensorflow.serving.PredictRequest") from None
        name = message.model_spec.signature_name
        with self._api.lease(route.ref) as lease:
            signature = predict_signature(lease, name)
            inputs = decode_all({**signature.defaults, **message.inputs}, max_elements=self._max_elements)
            decoding.end()
            outputs = await self._api.predict(lease, name, inputs, message.output_filter)
            with span("encode"):
                response = predict_response(lease.name, lease.version, signature, outputs, as_content=self._as_content)
                return Answer(response, "application/x-protobuf")

    async def _predict_npy(self, route: Route, request: Request) -> Answer:
        """The array of the one input; answered with that of the one output, or the one that `?output=` names."""
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
            wanted = [request.query["output"]] if "output" in request.query else list(signature.outputs)
            if len(wanted) != 1:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    f"An npy body holds one array, signature {signature.name} has the outputs {', '.join(wanted)}: "
                    f"name one, as in ?output={wanted[0]}",
                )
            with span("decode"):
                array = read_npy(request.body, spec.dtype)
            outputs = await self._api.predict(lease, name, {alias: array}, wanted)
        with span("encode"):
            return Answer(write_npy(outputs[wanted[0]]), NPY)

    async def _examples(self, route: Route, body: bytes) -> Answer:
        with span("decode"):
            is_long = len(body) >= _LONG
            document = await asyncio.to_thread(JsonRequest, body) if is_long else JsonRequest(body)
            name = document.signature_name
            examples = await asyncio.to_thread(read_examples, document) if is_long else read_examples(document)
        with self._api.lease(route.ref) as lease:
            if route.verb == "classify":
                found = await self._api.classify(lease, name, examples)
                with span("encode"):
                    return Answer(json_answer.classification(found.labels, found.scores))
            values = (await self._api.regress(lease, name, examples)).values
            with span("encode"):
                return Answer(json_answer.regression(values))


def _signature(lease: Lease, name: str) -> Signature:
    """Upstream looks a signature up for its dtypes first, and has a code and text of its own if there is none."""
    wanted = name or DEFAULT_SIGNATURE
    signature = lease.model.signatures.get(wanted)
    if signature is None:
        existing = ", ".join(sorted(lease.model.signatures)) or "none"
        raise ServeError(
            Code.INVALID_ARGUMENT,
            f'Serving signature name: "{wanted}" not found in signature def. Signatures of the model: {existing}',
        )
    return signature
