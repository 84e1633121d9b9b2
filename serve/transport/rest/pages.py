"""The pages of GET: state of models and versions, signatures, metrics, readiness. JSON has the layout of protobuf."""

import json

from google.protobuf import json_format
from google.protobuf.message import Message

from serve import metrics as measured
from serve.api import Api
from serve.codec.signature_def_map import signature_def_map
from serve.errors import ServeError
from serve.lifecycle.state import ModelRef, VersionStatus
from serve.transport.rest.message import Response
from tfx_export import wire


async def status(api: Api, ref: ModelRef) -> bytes:
    """Returns a GetModelStatusResponse. Raises NOT_FOUND for an unknown model or version."""
    return _page({"model_version_status": [_version(each) for each in await api.status(ref)]})


async def models(api: Api) -> bytes:
    """Returns every configured model, with its labels, and the state of its versions and what loading them took."""
    return _page(
        {
            "models": [
                {
                    "name": model.name,
                    "model_version_status": [
                        {**_version(each), **_load_report(each)} for each in await _statuses(api, model.name)
                    ],
                    "version_labels": {label: str(version) for label, version in model.labels.items()},
                }
                for model in api.models()
            ]
        }
    )


def metadata(api: Api, ref: ModelRef) -> bytes:
    """Returns a GetModelMetadataResponse with its only field. Raises NOT_FOUND unless the version is available."""
    with api.lease(ref) as lease:
        spec = wire.ModelSpec(name=lease.name)
        spec.version.value = lease.version
        signatures = signature_def_map(lease.model.signatures)
    return _page({"model_spec": _fields(spec), "metadata": {"signature_def": _fields(signatures)}})


async def metrics(api: Api) -> Response:
    """Returns the metrics in Prometheus' text format."""
    return Response(measured.page(await api.metrics()), measured.CONTENT_TYPE, headers={"cache-control": "no-store"})


def readiness(api: Api) -> Response:
    """Returns 503 while the server drains, while it has no models, and while a model has no available version."""
    waiting = [model.name for model in api.models() if not api.health.check(model.name)]
    if api.health.draining:
        return Response(b"draining\n", "text/plain", 503)
    if not api.models():
        return Response(b"no models yet\n", "text/plain", 503)
    if waiting:
        return Response(f"not available: {', '.join(waiting)}\n".encode(), "text/plain", 503)
    return Response(b"ok\n", "text/plain")


async def _statuses(api: Api, name: str) -> list[VersionStatus]:
    try:
        return await api.status(ModelRef(name))
    except ServeError:
        return []


def _version(status: VersionStatus) -> dict[str, object]:
    return {
        "version": str(status.version),
        "state": status.state.name,
        "status": {"error_code": status.code.name, "error_message": status.message},
    }


def _load_report(status: VersionStatus) -> dict[str, object]:
    return {"load_report": status.report.to_json()} if status.report else {}


def _fields(message: Message) -> dict[str, object]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _page(content: dict[str, object]) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
