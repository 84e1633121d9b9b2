"""Route: the action and the model that a method and a path mean."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from serve.errors import Code, ServeError
from serve.lifecycle.state import ModelRef
from tfx_export.savedmodel.version_folders import parse_version

_MODEL = r"/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?"
_POST = re.compile(rf"(?i:{_MODEL}):(classify|regress|predict)")
_GET = re.compile(rf"(?i:{_MODEL}(?:/(metadata))?)")


@dataclass(frozen=True)
class Route:
    """`verb`: predict, classify, regress, status or metadata."""

    verb: str
    ref: ModelRef


# Clients use a few paths over and over.
@lru_cache(1024)
def find_route(method: str, path: str) -> Route:
    """Returns the route of a request below /v1. `path` is as it was sent, without the query string.

    Raises ServeError INVALID_ARGUMENT for requests that TensorFlow Serving calls malformed.
    """
    pattern = {"POST": _POST, "GET": _GET}.get(method)
    match = pattern and pattern.fullmatch(path)
    if not match:
        raise ServeError(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}")
    name, version, label, verb = match.groups()
    number = parse_version(version) if version else None
    if version and number is None:
        raise ServeError(Code.INVALID_ARGUMENT, f"Failed to convert version: {version} to numeric.")
    ref = ModelRef(unquote(name), number, unquote(label) if label else None)
    return Route(verb.lower() if verb else "status", ref)
