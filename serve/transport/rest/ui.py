"""The web page on the REST port: its files, and example requests for a signature."""

import asyncio
import json
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from serve.api import Api
from serve.config import Config
from serve.errors import Code, ServeError
from serve.lifecycle.state import ModelRef
from serve.models.string_inputs import string_inputs
from serve.transport.rest.message import Request, Response
from tfx_export import snippets
from tfx_export.errors import SavedModelError
from tfx_export.sample_request import sample_request, string_uses
from tfx_export.savedmodel.string_inputs import StringInput
from tfx_export.savedmodel.version_folders import parse_version

_MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css"}

# The page loads nothing from other servers, and a model's response cannot become a script.
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


async def page(api: Api, request: Request, config: Config) -> Response | None:
    """Returns the response to a GET for the page; None for other paths."""
    if request.path == "/ui/signature":
        # On a thread, because it reads the graph, which may be large.
        return await asyncio.to_thread(_signature, api, request, config)
    return _files().get(request.path)


def paths() -> set[str]:
    """Returns the paths of the page."""
    return {"/ui/signature", *_files()}


@cache
def _files() -> dict[str, Response]:
    """Returns path -> file. The files are read once."""
    responses = {
        f"/ui/{file.name}": Response(file.read_bytes(), media_type, headers=_HEADERS)
        for file in files("serve.ui").iterdir()
        for suffix, media_type in _MEDIA_TYPES.items()
        if file.name.endswith(suffix)
    }
    return {**responses, "/": responses.pop("/ui/index.html")}


def _signature(api: Api, request: Request, config: Config) -> Response:
    """Returns JSON with example requests to `?model=...&version=...&signature=...`.

    It has the members `verb`, `strings` (the content of string inputs) and `programs` (by language; they send a request
    to `&rest=URL`).
    """
    model, name = request.query.get("model", ""), request.query.get("signature", "")
    version = parse_version(request.query.get("version", ""))
    with api.lease(ModelRef(model, version)) as lease:
        signature, version = lease.model.signatures.get(name), lease.version
    if signature is None:
        raise ServeError(Code.NOT_FOUND, f"The model {model} has no signature {name!r}")
    served = next((each for each in api.models() if each.name == model), None)
    uses = string_inputs(served, version, config) if served else None
    rest = request.query.get("rest") or snippets.REST
    grpc = f"{urlsplit(rest).hostname}:{config.port if config.port > 0 else 8500}"
    try:
        request_sample, strings = sample_request(signature, uses), string_uses(signature, uses)
    except (SavedModelError, ValueError):  # the file has changed since it was loaded
        request_sample, strings = sample_request(signature, None), string_uses(signature, None)
    description = {
        "verb": request_sample.verb,
        "strings": {alias: _string_content(use) for alias, use in strings.items()},
        "programs": {
            language: snippets.render(language, model, name, request_sample, rest=rest, grpc=grpc)
            for language in snippets.LANGUAGES
        },
    }
    return Response(json.dumps(description).encode())


def _string_content(use: StringInput) -> dict[str, object]:
    features = {
        name: {"dtype": feature.dtype, "shape": feature.shape and list(feature.shape)}
        for name, feature in use.features.items()
    }
    return {"image": use.image, "features": features}
