"""Plain HTTP to a server: nothing is added, followed or decoded on the way."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON and say so."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body.decode("utf-8", "surrogateescape"))

    @property
    def error(self) -> str:
        """The message of a failed request, which has nothing else to say."""
        content = self.json
        assert list(content) == ["error"]
        return str(content["error"])


def ask(url: str, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Reply:
    """One request to the server at `url`; `content_encoding="gzip"` becomes a header."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        raw = body.encode() if isinstance(body, str) else body
        connection.request(method, path, raw, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def post(url: str, path: str, content: Any, **headers: str) -> Reply:
    """POST `content` as JSON."""
    return ask(url, "POST", path, json.dumps(content), **headers)
