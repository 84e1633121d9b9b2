"""The table of all gRPC methods of the server: path -> method."""

from serve.api import Api
from serve.config import Config
from serve.request.admission import Admission
from serve.transport.grpc import (
    health_service,
    model_service,
    prediction_service,
    profiler_service,
    reflection_service,
)
from serve.transport.grpc.method import AnyMethod, Handler, Method, StreamHandler, StreamMethod
from serve.transport.grpc.middleware import with_middleware
from tfx_export import wire


def method_table(api: Api, config: Config, admission: Admission) -> dict[str, AnyMethod]:
    """Returns the methods, `/tensorflow.serving.PredictionService/Predict` and so on, with handlers and middleware."""
    handlers: dict[str, Handler] = {**prediction_service.handlers(api, config), **model_service.handlers(api)}
    streams: dict[str, StreamHandler] = {}
    if config.enable_grpc_healthcheck_service:
        handlers |= health_service.handlers(api.health)
        streams |= health_service.stream_handlers(api.health)
    rpcs = {f"/{service}/{rpc.name}": rpc for service, rpcs in wire.SERVICES.items() for rpc in rpcs}
    readers = prediction_service.readers(config)
    table: dict[str, AnyMethod] = {
        path: Method(rpcs[path], handler, readers.get(path)) for path, handler in handlers.items()
    }
    table |= {path: StreamMethod(rpcs[path], handler) for path, handler in streams.items()}
    if config.enable_profiler:
        table |= profiler_service.methods()
    table |= reflection_service.methods(sorted({path.split("/")[1] for path in table}))
    return with_middleware(table, admission, config.max_request_seconds)
