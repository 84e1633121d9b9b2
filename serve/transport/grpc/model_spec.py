"""ModelSpec, the part of every request that says which model it is for."""

from typing import TypeAlias

from serve.errors import Code, ServeError
from serve.lifecycle.harness import Lease
from serve.lifecycle.state import ModelRef
from tfx_export import wire
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE

RequestWithModelSpec: TypeAlias = (
    wire.PredictRequest
    | wire.ClassificationRequest
    | wire.RegressionRequest
    | wire.GetModelMetadataRequest
    | wire.GetModelStatusRequest
)


def spec_of(request: RequestWithModelSpec) -> wire.ModelSpec:
    """The ModelSpec of a request. INVALID_ARGUMENT if it has none."""
    if not request.HasField("model_spec"):
        raise ServeError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
    return request.model_spec


def model_ref(spec: wire.ModelSpec) -> ModelRef:
    """The model a ModelSpec names. INVALID_ARGUMENT if it names none."""
    if not spec.name:
        raise ServeError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice == "version":
        return ModelRef(spec.name, version=spec.version.value)
    return ModelRef(spec.name, label=spec.version_label if choice == "version_label" else None)


def echo(spec: wire.ModelSpec, lease: Lease, signature: str | None = None) -> None:
    """Fill the ModelSpec of an answer: the model, the version that answered, and the signature if one was run."""
    spec.name = lease.name
    spec.version.value = lease.version
    if signature is not None:
        spec.signature_name = signature or DEFAULT_SIGNATURE
