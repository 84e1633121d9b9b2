"""A REST client with the calls that the command line needs. It uses only the standard library."""

import json
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote

from tfx_export.client.calls import Model
from tfx_export.errors import TfxExportError


class RestError(TfxExportError):
    """A server refused a REST request or did not answer.

    `status`: the HTTP status, 0 if there was no answer.
    """

    exit_code = 6

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(f"{status}: {message}" if status else message)


class RestClient:
    """A client for the REST API of one server. Each method raises RestError.

    `target`: `host:port`. `tls`: a context for https; without it the connection is not encrypted. `token`: sent as a
    bearer token. `timeout`: in seconds, for connecting and for each read; None means no limit.
    """

    def __init__(
        self, target: str, *, tls: ssl.SSLContext | None = None, token: str | None = None, timeout: float | None = 60.0
    ) -> None:
        self._target = target.removeprefix("http://").removeprefix("https://").rstrip("/")
        self._tls = tls
        self._timeout = timeout
        self._headers = {"content-type": "application/json"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def predict(self, model: Model, body: Mapping[str, object]) -> dict[str, object]:
        """Returns the response to `body`, which has the key `instances` or `inputs` of the REST API."""
        return self._send("POST", f"{model_path(model)}:predict", {**body, "signature_name": model.signature})

    def status(self, model: Model) -> list[dict[str, Any]]:
        """Returns the versions as the server lists them, each with the keys `version`, `state` and `status`."""
        found: list[dict[str, Any]] = self._send("GET", model_path(model)).get("model_version_status", [])
        return found

    def load_reports(self, name: str) -> dict[int, dict[str, str | float]]:
        """Returns the load reports of the model by version: the memory and the load time of each loaded version.

        TensorFlow Serving refuses the request.
        """
        found = [model for model in self._send("GET", "/v1/models").get("models", []) if model["name"] == name]
        return {
            int(version["version"]): version["load_report"]
            for model in found
            for version in model["model_version_status"]
            if "load_report" in version
        }

    def _send(self, method: str, url: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        connection = (
            HTTPSConnection(self._target, timeout=self._timeout, context=self._tls)
            if self._tls
            else HTTPConnection(self._target, timeout=self._timeout)
        )
        try:
            connection.request(method, url, json.dumps(body) if body is not None else None, self._headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, HTTPException) as error:
            raise RestError(0, f"No answer from {self._target}: {error}") from None
        finally:
            connection.close()
        try:
            answer = json.loads(data)
        except ValueError:
            answer = {}
        if response.status != 200 or not isinstance(answer, dict):
            text = answer.get("error") if isinstance(answer, dict) else None
            raise RestError(response.status, text or data[:500].decode("utf-8", "replace"))
        return answer


def model_path(model: Model) -> str:
    """Returns `/v1/models/NAME`, followed by the version or label, if any."""
    url = f"/v1/models/{quote(model.name, safe='')}"
    if model.version is not None:
        return f"{url}/versions/{model.version}"
    return f"{url}/labels/{quote(model.label, safe='')}" if model.label is not None else url
