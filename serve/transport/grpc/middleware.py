"""Wraps every method of the table in the middleware of gRPC, so that every runtime that serves the table has it."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from serve.request.admission import Admission
from serve.request.call_record import CallRecord
from serve.request.deadline import with_context_if_suspended
from serve.transport.grpc.method import AnyMethod, CallContext, Handler, Method, ResponseMessage

# TensorFlow Serving counts these in request_count and request_latency, and no others.
COUNTED = frozenset({"Predict", "Classify", "Regress"})
# Health probes send no token and must be answered under load.
PROBE_SERVICE = "/grpc.health.v1.Health/"


def with_middleware(table: Mapping[str, AnyMethod], admission: Admission, max_seconds: float) -> dict[str, AnyMethod]:
    """Returns `table` with tokens, limits, metrics and logs. `max_seconds`: the latest deadline of a call; 0: none."""
    return {
        path: method if path.startswith(PROBE_SERVICE) else _with_middleware(method, admission, max_seconds)
        for path, method in table.items()
    }


def _with_middleware(method: AnyMethod, admission: Admission, max_seconds: float) -> AnyMethod:
    if isinstance(method, Method):
        return replace(method, handler=_unary_handler(method, admission, max_seconds))
    # Streams do no work that should be measured or limited. They tell clients about the models, so they need a token.
    handler: Callable[[Any, CallContext], AsyncIterator[ResponseMessage]] = method.handler

    async def authorized(request: Any, context: CallContext) -> AsyncIterator[ResponseMessage]:
        admission.authorize(partial(_text, dict(context.invocation_metadata() or ())))
        async for response in handler(request, context):
            yield response

    return replace(method, handler=authorized)


def _unary_handler(method: Method, admission: Admission, max_seconds: float) -> Handler:
    name = method.rpc.name
    counted = name in COUNTED
    names_model = "model_spec" in method.rpc.request.DESCRIPTOR.fields_by_name
    handler = method.handler

    async def handle(request: Any, context: CallContext) -> ResponseMessage:
        metadata = dict(context.invocation_metadata() or ())
        header = partial(_text, metadata)
        client_id = header("x-request-id")
        call = CallRecord("GRPC", name, client_id, context.peer)
        if names_model:
            call.model = request.model_spec.name
            call.signature = request.model_spec.signature_name
        if client_id:
            context.set_trailing_metadata((("x-request-id", call.request_id),))
        with admission.request_context(call, header, counted=counted):
            admission.authorize(header)
            admission.admit()
            remaining = context.time_remaining()
            if max_seconds and (remaining is None or remaining > max_seconds):
                return await with_context_if_suspended(
                    handler(request, context), partial(admission.deadline, max_seconds)
                )
            return await handler(request, context)

    return handle


def _text(metadata: Mapping[str, str | bytes], name: str) -> str | None:
    value = metadata.get(name)
    return value if isinstance(value, str) else None
