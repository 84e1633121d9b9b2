"""grpc.reflection: lets grpcurl and its like ask without .proto files."""

from collections.abc import Iterable
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from serve.transport.grpc.method import BidiMethod
from tfx_export import wire

# Tools ask for the one or the other; their messages are the same.
SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def methods(services: Iterable[str]) -> dict[str, BidiMethod]:
    """Reflection over `services`, whose files are in our own descriptor pool."""
    servicer: Any = ReflectionServicer([*services, *SERVICES], pool=wire.POOL)
    rpc = wire.Rpc(
        "ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest,
        reflection_pb2.ServerReflectionResponse,
        response_streaming=True,
    )
    return {f"/{service}/{rpc.name}": BidiMethod(rpc, servicer.ServerReflectionInfo) for service in SERVICES}
