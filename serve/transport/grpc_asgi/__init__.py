"""gRPC over ASGI: serves the table of methods on any ASGI server that supports HTTP/2 with trailers."""

from serve.transport.grpc_asgi.app import GrpcApp

__all__ = ["GrpcApp"]
