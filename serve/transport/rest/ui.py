"""The page for people on the REST port: its files, and the programs it shows to be copied."""

import json
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from serve.api import Api
from serve.errors import Code, ServeError
from serve.lifecycle.reference import ModelRef
from serve.transport.rest.message import Answer, Request
from tfx_export import snippets

_MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css"}

# Nothing from elsewhere is loaded, and nothing that a model answers can become a script.
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def page(api: Api, request: Request, grpc_port: int) -> Answer | None:
    """The answer to a GET that belongs to the page; None for any other path."""
    if request.path == "/ui/snippets":
        return _snippets(api, request, grpc_port)
    return _files().get(request.path)


@cache
def _files() -> dict[str, Answer]:
    """Path -> file; read once."""
    found = {
        f"/ui/{file.name}": Answer(file.read_bytes(), media_type, headers=_HEADERS)
        for file in files("serve.ui").iterdir()
        for suffix, media_type in _MEDIA_TYPES.items()
        if file.name.endswith(suffix)
    }
    return {**found, "/": found.pop("/ui/index.html")}


def _snippets(api: Api, request: Request, grpc_port: int) -> Answer:
    """Language -> program that asks `?model=...&signature=...` at `&rest=URL`, as a JSON object."""
    model, name = request.query.get("model", ""), request.query.get("signature", "")
    with api.lease(ModelRef(model)) as lease:
        signature = lease.model.signatures.get(name)
    if signature is None:
        raise ServeError(Code.NOT_FOUND, f"The model {model} has no signature {name!r}")
    rest = request.query.get("rest") or snippets.REST
    grpc = f"{urlsplit(rest).hostname}:{grpc_port if grpc_port > 0 else 8500}"
    programs = {
        language: snippets.render(language, model, signature, rest=rest, grpc=grpc) for language in snippets.LANGUAGES
    }
    return Answer(json.dumps(programs).encode())
