"""The ASGI application inside the guard: finds the route, answers, and tells failures as upstream does."""

import re

from serve.api import Api
from serve.call import CURRENT
from serve.codec import json_text
from serve.config import Config
from serve.errors import Code, ServeError
from serve.monitoring import metrics_paths
from serve.transport.rest import pages, ui
from serve.transport.rest.inference import Inference
from serve.transport.rest.message import Answer, Receive, Request, Scope, Send
from serve.transport.rest.metrics_page import MetricsPage
from serve.transport.rest.openapi import openapi
from serve.transport.rest.route import find_route
from serve.transport.rest.status import HTTP_STATUS

CORS_HEADERS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}


def make_app(api: Api, config: Config) -> MetricsPage:
    """The application over `api`, to be wrapped in a Guard."""
    return MetricsPage(RestApp(api, config), metrics_paths(config.monitoring_config_file), api.metrics)


class RestApp:
    def __init__(self, api: Api, config: Config) -> None:
        self._api = api
        self._config = config
        self._inference = Inference(api, config)
        self._headers = CORS_HEADERS if config.rest_api_enable_cors_support else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ServeError as error:
            if call := CURRENT.get():
                call.failed(error.code, error.message)
            answer = Answer(json_text.error(error.message), status=HTTP_STATUS[error.code])
        await request.respond(send, answer, self._headers)

    async def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return _preflight(request)
        if request.method in ("GET", "HEAD") and (page := await self._page(request)):
            return page
        route = find_route(request.method, request.path)
        if call := CURRENT.get():
            call.model = route.ref.name
        if route.verb == "status":
            return Answer(await pages.status(self._api, route.ref))
        if route.verb == "metadata":
            return Answer(pages.metadata(self._api, route.ref))
        return await self._inference.answer(route, request, await request.body(self._config.max_decompressed_bytes))

    async def _page(self, request: Request) -> Answer | None:
        match request.path:
            case "/healthz":
                return Answer(b"ok\n", "text/plain")
            case "/readyz":
                return pages.readiness(self._api)
            case "/v1/models":
                return Answer(await pages.models(self._api))
            case "/openapi.json":
                return Answer(openapi(self._api))
        return None if self._config.no_ui else await ui.page(self._api, request, self._config)


def _preflight(request: Request) -> Answer:
    if re.search("https?://", request.header(b"origin") or ""):
        return Answer(b"")
    raise ServeError(Code.FAILED_PRECONDITION, "Origin header is missing in CORS preflight")
