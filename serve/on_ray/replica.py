"""Replica: the class of the deployment. Each replica has a Core and answers both protocols."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from serve import logs
from serve.config import Config
from serve.core import Core
from serve.errors import Code, ServeError, from_unexpected
from serve.on_ray.call import RayCall
from serve.startup.overview import ServedVersion
from serve.transport.grpc import Method, StreamMethod, method_table, parse_request
from serve.transport.grpc.method import ResponseMessage
from serve.transport.rest.app import RestApp
from serve.transport.rest.middleware import RestMiddleware
from tfx_export import wire

if TYPE_CHECKING:
    from ray.serve.grpc_util import RayServegRPCContext

Unary = Callable[["Replica", bytes, "RayServegRPCContext"], Awaitable[ResponseMessage]]
Stream = Callable[["Replica", bytes, "RayServegRPCContext"], AsyncIterator[ResponseMessage]]

RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"


def _unary(path: str) -> Unary:
    async def answer(self: "Replica", message: bytes, grpc_context: "RayServegRPCContext") -> ResponseMessage:
        return await self.answer(path, message, RayCall(grpc_context))

    return answer


def _stream(path: str) -> Stream:
    async def answer(
        self: "Replica", message: bytes, grpc_context: "RayServegRPCContext"
    ) -> AsyncIterator[ResponseMessage]:
        async for response in self.stream(path, message, RayCall(grpc_context)):
            yield response

    return answer


class Replica:
    """Ray calls the attribute named like the gRPC method, and for REST the ASGI application built here."""

    Predict = _unary("/tensorflow.serving.PredictionService/Predict")
    Classify = _unary("/tensorflow.serving.PredictionService/Classify")
    Regress = _unary("/tensorflow.serving.PredictionService/Regress")
    MultiInference = _unary("/tensorflow.serving.PredictionService/MultiInference")
    GetModelMetadata = _unary("/tensorflow.serving.PredictionService/GetModelMetadata")
    GetModelStatus = _unary("/tensorflow.serving.ModelService/GetModelStatus")
    HandleReloadConfigRequest = _unary(RELOAD)
    Check = _unary("/grpc.health.v1.Health/Check")
    Watch = _stream("/grpc.health.v1.Health/Watch")

    def __init__(self, config: Config) -> None:
        """Loads the models, so that a replica gets no request before it can answer."""
        logs.setup(config.log_format, config.log_level)
        self._config = config
        self._core = Core(config)
        self._methods = method_table(self._core.api, config, self._core.admission)
        self._core.start()

    def __del__(self) -> None:
        """Called by Ray after the last request has been answered."""
        self._core.flush()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return RestMiddleware(RestApp(self._core.api, self._config), self._core.admission, self._config)

    def check_health(self) -> None:
        """Raises ServeError if no model is available. Ray replaces a replica whose check fails several times."""
        if not self._core.api.health.check(""):
            raise ServeError(Code.UNAVAILABLE, "No model is available")

    def served_versions(self) -> tuple[ServedVersion, ...]:
        """Returns the versions that are available in this replica."""
        return self._core.served_versions()

    async def answer(self, path: str, message: bytes, call: RayCall) -> ResponseMessage:
        """Returns the response of a unary method; after a failure an empty one, with the status in `call`."""
        method = self._methods.get(path)
        try:
            if path == RELOAD:
                raise ServeError(
                    Code.UNIMPLEMENTED,
                    "On Ray a reload would reach one replica only. Change the --model_config_file instead: "
                    "with --model_config_file_poll_wait_seconds every replica reads it again.",
                )
            if not isinstance(method, Method):
                raise ServeError(Code.UNIMPLEMENTED, f"Method not found: {path}")
            if self._config.max_body_bytes and len(message) > self._config.max_body_bytes:
                raise ServeError(
                    Code.RESOURCE_EXHAUSTED,
                    f"The request is larger than {self._config.max_body_bytes} bytes (--max_body_bytes)",
                )
            return await method.handler(parse_request(method, message), call)
        except ServeError as error:
            # Not raised: Ray would treat it as a bug and log a traceback in the proxy.
            call.fail(error)
        except Exception as error:
            call.fail(from_unexpected(error, path))
        return wire.PredictResponse()

    async def stream(self, path: str, message: bytes, call: RayCall) -> AsyncIterator[ResponseMessage]:
        """Yields the responses of a streaming method."""
        method = self._methods.get(path)
        try:
            if not isinstance(method, StreamMethod):
                raise ServeError(Code.UNIMPLEMENTED, f"Method not found: {path}")
            async for response in method.handler(parse_request(method, message), call):
                yield response
        except ServeError as error:
            # A stream has no response that could hold the status, so the exception holds it.
            call.fail(error)
            raise
