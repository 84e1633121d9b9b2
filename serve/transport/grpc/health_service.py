"""grpc.health.v1.Health: the empty service name means the server, other names are models."""

from collections.abc import AsyncIterator

from serve.errors import Code, ServeError
from serve.models.health import Health
from serve.transport.grpc.method import CallContext, Handler, StreamHandler
from tfx_export import wire

SERVICE = "grpc.health.v1.Health"


def handlers(health: Health) -> dict[str, Handler]:
    async def check(request: wire.HealthCheckRequest, context: CallContext) -> wire.HealthCheckResponse:
        healthy = health.check(request.service)
        if healthy is None:
            raise ServeError(Code.NOT_FOUND, f"There is no model {request.service}")
        return _response(healthy)

    return {f"/{SERVICE}/Check": check}


def stream_handlers(health: Health) -> dict[str, StreamHandler]:
    async def watch(request: wire.HealthCheckRequest, context: CallContext) -> AsyncIterator[wire.HealthCheckResponse]:
        async for healthy in health.watch(request.service):
            yield _response(healthy)

    return {f"/{SERVICE}/Watch": watch}


def _response(healthy: bool | None) -> wire.HealthCheckResponse:
    status = "SERVICE_UNKNOWN" if healthy is None else "SERVING" if healthy else "NOT_SERVING"
    return wire.HealthCheckResponse(status=status)
