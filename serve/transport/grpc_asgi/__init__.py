"""gRPC over ASGI: the table of methods, carried by any ASGI server that speaks HTTP/2 with trailers."""

from serve.transport.grpc_asgi.app import GrpcApp

__all__ = ["GrpcApp"]
