"""The gRPC services for Ray Serve's proxies, which find `add_services_to_server` by `grpc_servicer_functions`."""

from typing import NoReturn

import grpc
from grpc_reflection.v1alpha import reflection

from tfx_export import wire


def add_services_to_server(servicer: object, server: grpc.aio.Server) -> None:
    """Registers all services, like the generated `add_..._to_server` functions.

    Requests stay bytes, because a proxy only routes them. It replaces each handler with its own routing, so `servicer`
    and the handlers registered here are never called.
    """
    for service, rpcs in wire.SERVICES.items():
        handlers = {rpc.name: _handler(rpc) for rpc in rpcs}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    # The only service that a proxy answers itself. Ray's own reflection knows only messages of the default pool.
    server.add_passthrough_service(reflection.SERVICE_NAME)
    reflection.enable_server_reflection([*wire.SERVICES, reflection.SERVICE_NAME], server, pool=wire.POOL)


def _handler(rpc: wire.Rpc) -> grpc.RpcMethodHandler:
    if rpc.response_streaming:
        return grpc.unary_stream_rpc_method_handler(_routed)
    return grpc.unary_unary_rpc_method_handler(_routed)


def _routed(request: bytes, context: object) -> NoReturn:
    raise NotImplementedError("Ray's proxy routes this call to a replica")
