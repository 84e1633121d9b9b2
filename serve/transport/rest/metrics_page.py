"""MetricsPage: answers the paths of the metrics page, and leaves all else to the application it wraps."""

from collections.abc import Awaitable, Callable, Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from serve import metrics

Read = Callable[[], Awaitable[metrics.Snapshot]]

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", metrics.CONTENT_TYPE.encode()), (b"cache-control", b"no-store")],
}


class MetricsPage:
    def __init__(self, app: ASGIApp, paths: Collection[str], read: Read) -> None:
        self._app = app
        self._read = read
        self._paths = frozenset(paths)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or scope["path"] not in self._paths or scope["method"] not in ("GET", "HEAD"):
            return self._app(scope, receive, send)
        return self._answer(scope, send)

    async def _answer(self, scope: Scope, send: Send) -> None:
        body = metrics.page(await self._read()) if scope["method"] == "GET" else b""
        await send(_START)
        await send({"type": "http.response.body", "body": body})
