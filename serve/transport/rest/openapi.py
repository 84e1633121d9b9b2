"""GET /openapi.json: describes the requests to the available models, generated from their signatures."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import TypeAlias

from serve.api import Api
from serve.errors import ServeError
from serve.lifecycle.state import ModelRef
from tfx_export.savedmodel.signature import CLASSIFY, REGRESS, Signature, TensorSpec

Schema: TypeAlias = dict[str, object]

_BASE64 = {"type": "object", "properties": {"b64": {"type": "string", "format": "byte"}}, "required": ["b64"]}
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}


def openapi(api: Api) -> bytes:
    """Returns an OpenAPI 3.1 document."""
    paths: Schema = {"/v1/models": {"get": _operation("The models and the state of their versions", {})}}
    for model in api.models():
        path = f"/v1/models/{model.name}"
        paths[path] = {"get": _operation(f"The state of the versions of {model.name}", {})}
        paths[f"{path}/metadata"] = {"get": _operation(f"The signatures of {model.name}", {})}
        try:
            with api.lease(ModelRef(model.name)) as lease:
                signatures = lease.model.signatures
        except ServeError:
            continue
        for verb, requests, response in (
            ("predict", [_predict(each) for each in signatures.values() if each.inputs], _PREDICTION),
            ("classify", [_examples(each) for each in signatures.values() if each.method == CLASSIFY], _RESULTS),
            ("regress", [_examples(each) for each in signatures.values() if each.method == REGRESS], _RESULTS),
        ):
            if requests:
                operation = _operation(f"{verb.capitalize()} with {model.name}", response)
                schema = requests[0] if len(requests) == 1 else {"anyOf": requests}
                operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
                paths[f"{path}:{verb}"] = {"post": operation}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "TensorFlow Serving REST API", "version": version("tfx-export")},
        "paths": paths,
    }
    return json.dumps(document, indent=1).encode()


_PREDICTION: Schema = {
    "type": "object",
    "description": "`predictions` to `instances`, `outputs` to `inputs`",
    "properties": {"predictions": {"type": "array"}, "outputs": {}},
}
_RESULTS: Schema = {"type": "object", "properties": {"results": {"type": "array"}}, "required": ["results"]}


def _operation(summary: str, response: Schema) -> Schema:
    return {
        "summary": summary,
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": response}}},
            "default": {"description": "An error", "content": {"application/json": {"schema": _ERROR}}},
        },
    }


def _predict(signature: Signature) -> Schema:
    """Returns the schema of a predict request: row format, then columnar format."""
    rows = {name: _tensor(spec, rows=True) for name, spec in signature.inputs.items()}
    columns = {name: _tensor(spec, rows=False) for name, spec in signature.inputs.items()}
    row, column = _object(rows), _object(columns)
    if len(rows) == 1:
        row = {"anyOf": [*rows.values(), row]}
        column = {"anyOf": [*columns.values(), column]}
    named = _signature_name(signature)
    return {
        "title": signature.name,
        "oneOf": [
            {**_object({"instances": {"type": "array", "items": row}}, named), "title": "row format"},
            {**_object({"inputs": column}, named), "title": "columnar format"},
        ],
    }


def _examples(signature: Signature) -> Schema:
    feature = {"type": "object", "additionalProperties": {}}
    required = {"examples": {"type": "array", "items": feature, "minItems": 1}}
    return {**_object(required, {"context": feature, **_signature_name(signature)}), "title": signature.name}


def _signature_name(signature: Signature) -> Schema:
    return {"signature_name": {"const": signature.name}}


def _object(required: Mapping[str, object], optional: Mapping[str, object] | None = None) -> Schema:
    return {"type": "object", "properties": {**(optional or {}), **required}, "required": list(required)}


def _tensor(spec: TensorSpec, rows: bool) -> Schema:
    """Returns the schema of a tensor's JSON, or with `rows` that of one row."""
    if spec.shape is None:
        return {}
    schema = _scalar(spec.dtype)
    for size in reversed(spec.shape[1:] if rows else spec.shape):
        schema = {"type": "array", "items": schema}
        if size is not None:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _scalar(dtype: str) -> Schema:
    if dtype == "DT_STRING":
        return {"anyOf": [{"type": "string"}, _BASE64]}
    if dtype == "DT_BOOL":
        return {"type": "boolean"}
    return {"type": "integer" if "INT" in dtype else "number"}
