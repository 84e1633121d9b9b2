"""The application inside the middleware: finds the route and makes the response."""

import re

from serve.api import Api
from serve.codec.json import text as json_text
from serve.config import Config
from serve.errors import Code, ServeError
from serve.metrics.monitoring import metrics_paths
from serve.transport.rest import pages, ui
from serve.transport.rest.inference import Inference
from serve.transport.rest.message import Request, Response
from serve.transport.rest.openapi import openapi
from serve.transport.rest.route import find_route
from serve.transport.rest.status import HTTP_STATUS

# Below these, TensorFlow Serving calls unknown paths malformed; elsewhere they are not found.
API_PREFIXES = ("/v1/", "/V1/")


class RestApp:
    def __init__(self, api: Api, config: Config) -> None:
        self._api = api
        self._config = config
        self._inference = Inference(api, config)
        self._metrics_paths = metrics_paths(config.monitoring_config_file)
        self._page_paths = {"/healthz", "/readyz", "/openapi.json", *self._metrics_paths}
        if not config.no_ui:
            self._page_paths |= ui.paths()

    async def respond(self, request: Request) -> Response:
        """Returns the response to a request whose body has been read. Raises ServeError."""
        if not request.path.startswith(API_PREFIXES) and request.path not in self._page_paths:
            raise ServeError(
                Code.NOT_FOUND, f"Not found: {request.method} {request.path}. GET /v1/models lists the models"
            )
        if request.method == "OPTIONS":
            return _preflight(request)
        if request.method in ("GET", "HEAD") and (page := await self._page(request)):
            return page
        route = find_route(request.method, request.path)
        if route.verb == "status":
            return Response(await pages.status(self._api, route.ref))
        if route.verb == "metadata":
            return Response(pages.metadata(self._api, route.ref))
        if b"content-encoding" in request.headers:
            await request.decompress(self._config.max_decompressed_bytes)
        return await self._inference.respond(route, request)

    async def _page(self, request: Request) -> Response | None:
        match request.path:
            case "/healthz":
                return Response(b"ok\n", "text/plain")
            case "/readyz":
                return pages.readiness(self._api)
            case "/v1/models":
                return Response(await pages.models(self._api))
            case "/openapi.json":
                return Response(await openapi(self._api, self._config))
        if request.path in self._metrics_paths:
            return await pages.metrics(self._api)
        return None if self._config.no_ui else await ui.page(self._api, request, self._config)


def error_response(error: ServeError) -> Response:
    """Returns the response to a failed request, as TensorFlow Serving writes it."""
    return Response(json_text.error(error.message), status=HTTP_STATUS[error.code])


def _preflight(request: Request) -> Response:
    if re.search("https?://", request.header("origin") or ""):
        return Response(b"")
    raise ServeError(Code.FAILED_PRECONDITION, "Origin header is missing in CORS preflight")
