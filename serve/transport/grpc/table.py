"""The table of every method the server answers over gRPC: path -> Method."""

from serve.api import Api
from serve.config import Config
from serve.edge import Edge
from serve.transport.grpc import model_service, prediction_service
from serve.transport.grpc.guard import guarded
from serve.transport.grpc.method import Handler, Method
from tfx_export import wire


def method_table(api: Api, config: Config, edge: Edge) -> dict[str, Method]:
    """`/tensorflow.serving.PredictionService/Predict` and so on, with their handlers, behind `edge`."""
    handlers: dict[str, Handler] = {
        **prediction_service.handlers(api, config),
        **model_service.handlers(api),
    }
    rpcs = {f"/{service}/{rpc.name}": rpc for service, rpcs in wire.SERVICES.items() for rpc in rpcs}
    table = {path: Method(rpcs[path], handler) for path, handler in handlers.items()}
    return guarded(table, edge, config.max_request_seconds)
