"""grpc.reflection: lets tools such as grpcurl call the server without .proto files."""

from collections.abc import AsyncIterator, Iterable
from functools import cache
from importlib import import_module
from typing import Any

from google.protobuf.message import Message

from serve.transport.grpc.method import BidiMethod, CallContext
from tfx_export import wire

# Some tools use v1, others v1alpha. The messages of both are the same.
SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class _LazyMessageClass:
    """A message class of grpc_reflection, which imports all of grpc and is therefore imported by the first call."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        return getattr(getattr(import_module("grpc_reflection.v1alpha.reflection_pb2"), self._name), attribute)


def methods(services: Iterable[str]) -> dict[str, BidiMethod]:
    """Returns the methods of reflection for `services`, whose files are in our own descriptor pool."""
    names = [*services, *SERVICES]

    @cache
    def servicer() -> Any:
        from grpc_reflection.v1alpha._async import ReflectionServicer

        return ReflectionServicer(names, pool=wire.POOL)

    async def info(requests: AsyncIterator[Message], context: CallContext) -> AsyncIterator[Message]:
        async for response in servicer().ServerReflectionInfo(requests, context):
            yield response

    request: Any = _LazyMessageClass("ServerReflectionRequest")
    response: Any = _LazyMessageClass("ServerReflectionResponse")
    rpc = wire.Rpc("ServerReflectionInfo", request, response, response_streaming=True)
    return {f"/{service}/{rpc.name}": BidiMethod(rpc, info) for service in SERVICES}
