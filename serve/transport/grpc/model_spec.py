"""ModelSpec, the part of every request that names the model."""

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
    """Returns the ModelSpec of a request. Raises INVALID_ARGUMENT if it has none."""
    if not request.HasField("model_spec"):
        raise ServeError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
    return request.model_spec


def model_ref(spec: wire.ModelSpec) -> ModelRef:
    """Returns the model that a ModelSpec names. Raises INVALID_ARGUMENT if it names none."""
    if not spec.name:
        raise ServeError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    if choice == "version":
        return ModelRef(spec.name, version=spec.version.value)
    return ModelRef(spec.name, label=spec.version_label if choice == "version_label" else None)


def fill_model_spec(spec: wire.ModelSpec, lease: Lease, signature: str | None = None) -> None:
    """Fills the ModelSpec of a response: the model, the version that was used, and the signature if one was run."""
    spec.name = lease.name
    spec.version.value = lease.version
    if signature is not None:
        spec.signature_name = signature or DEFAULT_SIGNATURE
