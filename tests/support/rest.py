"""Plain HTTP requests to a server: nothing is added, followed or decoded on the way."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """The response to one request; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON and declared as JSON."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body.decode("utf-8", "surrogateescape"))

    @property
    def error(self) -> str:
        """The message of a failed request; its body must hold nothing else."""
        content = self.json
        assert list(content) == ["error"]
        return str(content["error"])


def send_request(url: str, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Reply:
    """Sends one request to the server at `url`. The argument `content_encoding="gzip"` becomes a header."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        raw = body.encode() if isinstance(body, str) else body
        connection.request(method, path, raw, header_fields(headers))
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def send_json(url: str, path: str, content: Any, **headers: str) -> Reply:
    """Sends `content` as JSON with POST."""
    return send_request(url, "POST", path, json.dumps(content), **headers)


def header_fields(headers: dict[str, str]) -> dict[str, str]:
    """Keyword arguments as header names: `content_encoding` is `content-encoding`."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
