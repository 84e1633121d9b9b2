"""An ASGI application with gRPC methods that need no model. The tests in this folder run it inside Envoy."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive, Scope, Send

from serve.errors import Code, ServeError
from serve.transport.grpc import CallContext, Method, StreamMethod
from serve.transport.grpc_asgi import GrpcApp
from tfx_export import wire

cancelled: list[str] = []


async def predict(request: wire.PredictRequest, context: CallContext) -> wire.PredictResponse:
    """Does what model_spec.name says, and returns `inputs` as `outputs`."""
    action = request.model_spec.name
    if action == "fail":
        raise ServeError(Code.FAILED_PRECONDITION, "50% of \u00fcber\nfailed")
    if action == "crash":
        raise RuntimeError("boom")
    if action == "wait":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(request.model_spec.signature_name)
            raise
    if action == "pause":
        await asyncio.sleep(0.2)
    response = wire.PredictResponse()
    for name, tensor in request.inputs.items():
        response.outputs[name].CopyFrom(tensor)
    if action == "cancelled":
        response.model_spec.signature_name = ",".join(cancelled)
    if action == "metadata":
        metadata = {name: value for name, value in context.invocation_metadata() or () if name.startswith("x-")}
        response.model_spec.signature_name = f"{metadata} {context.peer()} {context.time_remaining() is not None}"
    return response


async def watch(request: wire.HealthCheckRequest, context: CallContext) -> AsyncIterator[wire.HealthCheckResponse]:
    """Yields SERVING, then does what `service` says: NOT_SERVING, an error, or nothing more."""
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
