"""GET /openapi.json: describes the requests to the available models, generated from their signatures."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version
from urllib.parse import quote

from serve.api import Api
from serve.classify_regress import INPUTS, classify_outputs, regress_outputs
from serve.config import Config
from serve.errors import ServeError
from serve.lifecycle.source import ServedModel
from serve.lifecycle.state import ModelRef, State
from serve.models.string_inputs import string_inputs
from serve.transport.rest import openapi_schemas as schemas
from serve.transport.rest.openapi_schemas import Schema
from tfx_export.errors import SavedModelError
from tfx_export.sample_request import sample_request
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.string_inputs import Feature, StringInputs

# A larger example is left out.
MAX_EXAMPLE_VALUES = 4096

_BEARER_TOKEN: Schema = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
_ERROR: Schema = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_PREDICTION: Schema = {
    "type": "object",
    "description": "`predictions` to `instances`, `outputs` to `inputs`",
    "properties": {"predictions": {"type": "array"}, "outputs": {}},
    "anyOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
}
_RESULTS: Schema = {"type": "object", "properties": {"results": {"type": "array"}}, "required": ["results"]}
_RESPONSES = {"predict": _PREDICTION, "classify": _RESULTS, "regress": _RESULTS}
_STATUS: Schema = {
    "type": "object",
    "properties": {"model_version_status": {"type": "array", "items": {"type": "object"}}},
    "required": ["model_version_status"],
}
_METADATA: Schema = {
    "type": "object",
    "properties": {"model_spec": {"type": "object"}, "metadata": {"type": "object"}},
    "required": ["model_spec", "metadata"],
}
_MODELS: Schema = {
    "type": "object",
    "properties": {"models": {"type": "array", "items": {"type": "object"}}},
    "required": ["models"],
}


async def openapi(api: Api, config: Config) -> bytes:
    """Returns an OpenAPI 3.1 document."""
    models = [(model, await _available(api, model)) for model in api.models()]
    # On a thread, because it reads the graphs of signatures with strings, which may be large.
    return await asyncio.to_thread(_document, api, config, models)


async def _available(api: Api, model: ServedModel) -> list[int]:
    try:
        statuses = await api.status(ModelRef(model.name))
    except ServeError:
        return []
    return [status.version for status in statuses if status.state is State.AVAILABLE]


def _document(api: Api, config: Config, models: list[tuple[ServedModel, list[int]]]) -> bytes:
    document = _Document()
    document.get("/v1/models", "models", "The models and the state of their versions", _MODELS)
    for model, versions in models:
        path = f"/v1/models/{quote(model.name, safe='')}"
        document.get(path, f"status_{model.name}", f"The state of the versions of {model.name}", _STATUS)
        document.get(f"{path}/metadata", f"metadata_{model.name}", f"The signatures of {model.name}", _METADATA)
        bodies = {version: dict(_request_bodies(api, config, model, version)) for version in versions}
        for version, named in bodies.items():
            for verb, body in named.items():
                document.request_bodies[_key(f"{verb}_{model.name}_{version}")] = body
        for place in _places(model, versions):
            if place.suffix:
                target = f"version {place.version} of {model.name}"
                name = f"{model.name}{place.suffix}"
                document.get(f"{path}{place.suffix}", f"status_{name}", f"The state of {target}", _STATUS)
                summary = f"The signatures of {target}"
                document.get(f"{path}{place.suffix}/metadata", f"metadata_{name}", summary, _METADATA)
            for verb in bodies[place.version]:
                key = _key(f"{verb}_{model.name}_{place.version}")
                document.post(f"{path}{place.suffix}", verb, f"{model.name}{place.suffix}", key)
    content = document.content()
    if config.auth_token_file:
        content |= {"security": [{"token": []}], "components": {**document.components(), **_BEARER_TOKEN}}
    return json.dumps(content, indent=1).encode()


@dataclass(frozen=True)
class _Place:
    """A way to name a version in a path: no suffix for the newest one, `/versions/1`, or `/labels/stable`."""

    suffix: str
    version: int


def _places(model: ServedModel, versions: list[int]) -> Iterator[_Place]:
    if versions:
        yield _Place("", max(versions))
    for version in versions:
        yield _Place(f"/versions/{version}", version)
    for label, version in model.labels.items():
        if version in versions:
            yield _Place(f"/labels/{quote(label, safe='')}", version)


class _Document:
    """The document while it is written."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, Schema]] = {}
        self._operation_ids: set[str] = set()
        self.request_bodies: dict[str, Schema] = {}

    def get(self, path: str, name: str, summary: str, response: Schema) -> None:
        self._paths.setdefault(path, {})["get"] = self._operation(name, summary, response)

    def post(self, path: str, verb: str, target: str, body: str) -> None:
        operation = self._operation(f"{verb}_{target}", f"{verb.capitalize()} with {target}", _RESPONSES[verb])
        operation["requestBody"] = {"$ref": f"#/components/requestBodies/{body}"}
        self._paths.setdefault(f"{path}:{verb}", {})["post"] = operation

    def content(self) -> Schema:
        return {
            "openapi": "3.1.0",
            "info": {"title": "TensorFlow Serving REST API", "version": package_version("tfx-export")},
            "paths": self._paths,
            "components": self.components(),
        }

    def components(self) -> Schema:
        return {"schemas": schemas.COMPONENTS, "requestBodies": self.request_bodies}

    def _operation(self, name: str, summary: str, response: Schema) -> Schema:
        return {
            "operationId": self._operation_id(name),
            "summary": summary,
            "responses": {
                "200": {"description": "OK", "content": {"application/json": {"schema": response}}},
                "default": {"description": "An error", "content": {"application/json": {"schema": _ERROR}}},
            },
        }

    def _operation_id(self, name: str) -> str:
        """Returns a unique identifier, as programs that generate clients need."""
        wanted = _key(name)
        number, found = 1, wanted
        while found in self._operation_ids:
            number += 1
            found = f"{wanted}_{number}"
        self._operation_ids.add(found)
        return found


def _key(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)


def _request_bodies(api: Api, config: Config, model: ServedModel, version: int) -> Iterator[tuple[str, Schema]]:
    """Yields the verbs of a version with the bodies of their requests."""
    try:
        with api.lease(ModelRef(model.name, version)) as lease:
            signatures = lease.model.signatures
    except ServeError:  # it was replaced in the meantime
        return
    uses = string_inputs(model, version, config)
    check = config.enable_signature_method_name_check
    predicts = [each for each in signatures.values() if schemas.is_json(each)]
    if predicts:
        yield "predict", _request_body(predicts, {each.name: schemas.predict_schema(each) for each in predicts}, uses)
    for verb, outputs_of in (("classify", classify_outputs), ("regress", regress_outputs)):
        found: dict[str, Schema] = {}
        for signature in signatures.values():
            try:
                outputs_of(signature, check_method=check)
            except ServeError:
                continue
            features = _features(signature, uses)
            if signature.inputs[INPUTS].dtype == "DT_STRING" and features != {}:
                found[signature.name] = schemas.examples_schema(signature, features)
        if found:
            yield verb, _request_body([signatures[name] for name in found], found, uses, verb)


def _features(signature: Signature, uses: StringInputs | None) -> Mapping[str, Feature] | None:
    """Returns the features that a signature reads; None if its graph cannot be read."""
    try:
        return uses.of(signature.inputs[INPUTS].tensor).features if uses else None
    except (SavedModelError, ValueError):  # the file has changed since it was loaded
        return None


def _request_body(
    signatures: list[Signature], bodies: Mapping[str, Schema], uses: StringInputs | None, verb: str = "predict"
) -> Schema:
    examples = {}
    for signature in signatures:
        # The graph may need a rank that the signature does not state.
        if any(spec.shape is None for spec in signature.inputs.values()):
            continue
        try:
            sample = sample_request(signature, uses)
        except (SavedModelError, ValueError):
            continue
        if sample.verb == verb and sample.size <= MAX_EXAMPLE_VALUES:
            examples[signature.name] = {"value": {"signature_name": signature.name, **sample.body()}}
    content: Schema = {"schema": {"anyOf": list(bodies.values())}}
    if examples:
        content["examples"] = examples
    return {"required": True, "content": {"application/json": content}}
