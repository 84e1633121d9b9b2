"""An ASGI application with gRPC methods that answer without a model; run inside Envoy by the tests beside it."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from serve.errors import Code, ServeError
from serve.transport.grpc import CallContext, Method, StreamMethod
from serve.transport.grpc_asgi import GrpcApp
from tfx_export import wire

cancelled: list[str] = []


async def predict(request: wire.PredictRequest, context: CallContext) -> wire.PredictResponse:
    """What model_spec.name says; `inputs` come back as `outputs`."""
    what = request.model_spec.name
    if what == "fail":
        raise ServeError(Code.FAILED_PRECONDITION, "50% of \u00fcber\nfailed")
    if what == "crash":
        raise RuntimeError("boom")
    if what == "wait":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(request.model_spec.signature_name)
            raise
    if what == "pause":
        await asyncio.sleep(0.2)
    response = wire.PredictResponse()
    for name, tensor in request.inputs.items():
        response.outputs[name].CopyFrom(tensor)
    if what == "cancelled":
        response.model_spec.signature_name = ",".join(cancelled)
    if what == "metadata":
        metadata = {name: value for name, value in context.invocation_metadata() or () if name.startswith("x-")}
        response.model_spec.signature_name = f"{metadata} {context.peer()} {context.time_remaining() is not None}"
    return response


async def watch(request: wire.HealthCheckRequest, context: CallContext) -> AsyncIterator[wire.HealthCheckResponse]:
    """SERVING, then as `service` says: the end, an error, or nothing more."""
    yield wire.HealthCheckResponse(status="SERVING")
    if request.service == "fail":
        raise ServeError(Code.NOT_FOUND, "gone")
    if request.service == "wait":
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.append("watch")
    yield wire.HealthCheckResponse(status="NOT_SERVING")


RPCS = {(service, rpc.name): rpc for service, rpcs in wire.SERVICES.items() for rpc in rpcs}
grpc_app = GrpcApp(
    {
        "/tensorflow.serving.PredictionService/Predict": Method(
            RPCS["tensorflow.serving.PredictionService", "Predict"], predict
        ),
        "/grpc.health.v1.Health/Watch": StreamMethod(RPCS["grpc.health.v1.Health", "Watch"], watch),
    },
    max_message_bytes=64 << 20,
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await grpc_app(scope, receive, send)
        return
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})
