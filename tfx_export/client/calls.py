"""The calls of a gRPC client: each function builds one, which `Client` and `AsyncClient` can send."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from tfx_export import wire
from tfx_export.savedmodel import tensor
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"

T = TypeVar("T")
# A number, a string, bytes, or a sequence of one of these.
FeatureValue: TypeAlias = (
    float
    | str
    | bytes
    | np.generic
    | np.ndarray
    | Sequence[float]
    | Sequence[str]
    | Sequence[bytes]
    | Sequence[np.generic]
)
# The members `engine`, `memory_bytes`, `mapped_bytes` (the part of it that processes share), `load_seconds`,
# `preparation` and, where they apply, `prepare_seconds` and the `reason` why a version is served as it is.
LoadReport: TypeAlias = dict[str, str | float]


@dataclass(frozen=True)
class Model:
    """The model and signature that a request is for.

    At most one of `version` and `label` may be given; without both, the server uses the newest version.
    """

    name: str
    version: int | None = None
    label: str | None = None
    signature: str = DEFAULT_SIGNATURE

    def spec(self) -> wire.ModelSpec:
        """Returns the ModelSpec for a request."""
        spec = wire.ModelSpec(name=self.name, signature_name=self.signature)
        if self.version is not None:
            spec.version.value = self.version
        if self.label is not None:
            spec.version_label = self.label
        return spec


@dataclass(frozen=True)
class VersionState:
    """One version of a model, its state (`LOADING`, `AVAILABLE`, ...), and its error message, if any."""

    version: int
    state: str
    error: str


@dataclass(frozen=True)
class UnaryCall(Generic[T]):
    """A unary gRPC call: its service and method, the request, and a function that reads the response."""

    service: str
    method: str
    request: Message
    read: Callable[[Any], T]

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.method}"

    @property
    def response_class(self) -> type[Message]:
        return next(rpc.response for rpc in wire.SERVICES[self.service] if rpc.name == self.method)


def predict(
    model: Model, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] = ()
) -> UnaryCall[dict[str, np.ndarray]]:
    """Returns a Predict call for `inputs`, arrays by name. `outputs` selects outputs; all by default."""
    request = wire.PredictRequest(model_spec=model.spec(), output_filter=outputs)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tensor.encode(np.asarray(value), as_content=True))

    def read(response: wire.PredictResponse) -> dict[str, np.ndarray]:
        return {name: tensor.decode(proto) for name, proto in response.outputs.items()}

    return UnaryCall(PREDICTION_SERVICE, "Predict", request, read)


def classify(model: Model, examples: Iterable[Mapping[str, FeatureValue]]) -> UnaryCall[list[list[tuple[str, float]]]]:
    """Returns a Classify call. Its result is the list of (label, score) for each example."""
    request = wire.ClassificationRequest(model_spec=model.spec(), input=_example_input(examples))

    def read(response: wire.ClassificationResponse) -> list[list[tuple[str, float]]]:
        return [[(c.label, c.score) for c in one.classes] for one in response.result.classifications]

    return UnaryCall(PREDICTION_SERVICE, "Classify", request, read)


def regress(model: Model, examples: Iterable[Mapping[str, FeatureValue]]) -> UnaryCall[list[float]]:
    """Returns a Regress call. Its result is one value for each example."""
    request = wire.RegressionRequest(model_spec=model.spec(), input=_example_input(examples))
    return UnaryCall(
        PREDICTION_SERVICE, "Regress", request, lambda answer: [one.value for one in answer.result.regressions]
    )


def metadata(model: Model) -> UnaryCall[dict[str, Signature]]:
    """Returns a GetModelMetadata call. Its result is the signatures by name."""
    request = wire.GetModelMetadataRequest(model_spec=model.spec(), metadata_field=["signature_def"])

    def read(response: wire.GetModelMetadataResponse) -> dict[str, Signature]:
        found = wire.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return {name: Signature.from_proto(name, found.signature_def[name]) for name in sorted(found.signature_def)}

    return UnaryCall(PREDICTION_SERVICE, "GetModelMetadata", request, read)


def status(model: Model) -> UnaryCall[list[VersionState]]:
    """Returns a GetModelStatus call. Its result is the versions with their states, newest first."""

    def read(response: wire.GetModelStatusResponse) -> list[VersionState]:
        name_of = wire.ModelVersionStatus.State.Name
        return [
            VersionState(v.version, name_of(v.state), v.status.error_message) for v in response.model_version_status
        ]

    return UnaryCall(MODEL_SERVICE, "GetModelStatus", wire.GetModelStatusRequest(model_spec=model.spec()), read)


def load_report(model: Model) -> UnaryCall[LoadReport]:
    """Returns a GetModelMetadata call for the load report: the memory and the load time of the version.

    TensorFlow Serving refuses it.
    """
    request = wire.GetModelMetadataRequest(model_spec=model.spec(), metadata_field=["load_report"])

    def read(response: wire.GetModelMetadataResponse) -> LoadReport:
        members = Struct()
        response.metadata["load_report"].Unpack(members)
        return {
            name: int(value) if name.endswith("_bytes") else value
            for name, value in members.items()
            if isinstance(value, str | float)
        }

    return UnaryCall(PREDICTION_SERVICE, "GetModelMetadata", request, read)


def reload_config(config: wire.ModelServerConfig) -> UnaryCall[None]:
    """Returns a call that replaces the server's list of models by `config`."""
    return UnaryCall(
        MODEL_SERVICE, "HandleReloadConfigRequest", wire.ReloadConfigRequest(config=config), lambda _: None
    )


def _example_input(examples: Iterable[Mapping[str, FeatureValue]]) -> wire.Input:
    return wire.Input(example_list=wire.ExampleList(examples=[to_example(example) for example in examples]))


def to_example(features: Mapping[str, FeatureValue]) -> wire.Example:
    """Returns a tf.Example. Integers and booleans become int64 lists, floats float lists, others byte lists."""
    example = wire.Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        values = np.asarray(value).ravel()
        if values.dtype.kind in "iub":
            feature.int64_list.value.extend(values.astype(np.int64).tolist())
        elif values.dtype.kind == "f":
            feature.float_list.value.extend(values.astype(np.float32).tolist())
        else:
            feature.bytes_list.value.extend(v if isinstance(v, bytes) else str(v).encode() for v in _items(value))
    return example


def _items(value: Any) -> Sequence[object]:
    return [value] if isinstance(value, (str, bytes)) else list(value)
