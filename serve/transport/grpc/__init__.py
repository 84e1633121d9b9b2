"""gRPC as a table from path to method, which any gRPC runtime can serve."""

from serve.transport.grpc.method import (
    AnyMethod,
    BidiMethod,
    CallContext,
    Handler,
    Method,
    StreamHandler,
    StreamMethod,
    parse_request,
)
from serve.transport.grpc.table import method_table

__all__ = [
    "AnyMethod",
    "BidiMethod",
    "CallContext",
    "Handler",
    "Method",
    "StreamHandler",
    "StreamMethod",
    "method_table",
    "parse_request",
]
