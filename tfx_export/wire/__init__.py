"""The message classes of TensorFlow and TensorFlow Serving, and the services that clients call."""

from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

from tfx_export.wire.messages import (
    AssetFileDef as AssetFileDef,
    AttrValue as AttrValue,
    BatchingParameters as BatchingParameters,
    BoundedTensorSpecProto as BoundedTensorSpecProto,
    BundleEntryProto as BundleEntryProto,
    BundleHeaderProto as BundleHeaderProto,
    BytesList as BytesList,
    Class as Class,
    ClassificationRequest as ClassificationRequest,
    ClassificationResponse as ClassificationResponse,
    ClassificationResult as ClassificationResult,
    Classifications as Classifications,
    ClassifyLog as ClassifyLog,
    CollectionDef as CollectionDef,
    Example as Example,
    ExampleList as ExampleList,
    ExampleListWithContext as ExampleListWithContext,
    Feature as Feature,
    FeatureList as FeatureList,
    FeatureLists as FeatureLists,
    Features as Features,
    FileSystemStoragePathSourceConfig as FileSystemStoragePathSourceConfig,
    FloatList as FloatList,
    FunctionDef as FunctionDef,
    GetModelMetadataRequest as GetModelMetadataRequest,
    GetModelMetadataResponse as GetModelMetadataResponse,
    GetModelStatusRequest as GetModelStatusRequest,
    GetModelStatusResponse as GetModelStatusResponse,
    GraphDef as GraphDef,
    HealthCheckRequest as HealthCheckRequest,
    HealthCheckResponse as HealthCheckResponse,
    InferenceResult as InferenceResult,
    InferenceTask as InferenceTask,
    Input as Input,
    Int64List as Int64List,
    LogCollectorConfig as LogCollectorConfig,
    LoggingConfig as LoggingConfig,
    LogMetadata as LogMetadata,
    MetaGraphDef as MetaGraphDef,
    MetaGraphIndex as MetaGraphIndex,
    Metric as Metric,
    ModelConfig as ModelConfig,
    ModelConfigList as ModelConfigList,
    ModelServerConfig as ModelServerConfig,
    ModelSpec as ModelSpec,
    ModelVersionStatus as ModelVersionStatus,
    MonitoringConfig as MonitoringConfig,
    MultiInferenceLog as MultiInferenceLog,
    MultiInferenceRequest as MultiInferenceRequest,
    MultiInferenceResponse as MultiInferenceResponse,
    NamedTupleValue as NamedTupleValue,
    NodeDef as NodeDef,
    OpDef as OpDef,
    OpList as OpList,
    PairValue as PairValue,
    PerTaskSamplingConfig as PerTaskSamplingConfig,
    PlatformConfig as PlatformConfig,
    PlatformConfigMap as PlatformConfigMap,
    PredictionLog as PredictionLog,
    PredictLog as PredictLog,
    PredictRequest as PredictRequest,
    PredictResponse as PredictResponse,
    PredictStreamedLog as PredictStreamedLog,
    PredictStreamedOptions as PredictStreamedOptions,
    ProfileRequest as ProfileRequest,
    ProfileResponse as ProfileResponse,
    PrometheusConfig as PrometheusConfig,
    Regression as Regression,
    RegressionRequest as RegressionRequest,
    RegressionResponse as RegressionResponse,
    RegressionResult as RegressionResult,
    RegressLog as RegressLog,
    ReloadConfigRequest as ReloadConfigRequest,
    ReloadConfigResponse as ReloadConfigResponse,
    SamplingConfig as SamplingConfig,
    SavedBareConcreteFunction as SavedBareConcreteFunction,
    SavedConcreteFunction as SavedConcreteFunction,
    SavedFunction as SavedFunction,
    SavedModel as SavedModel,
    SavedModelIndex as SavedModelIndex,
    SavedObject as SavedObject,
    SavedObjectGraph as SavedObjectGraph,
    SaverDef as SaverDef,
    SequenceExample as SequenceExample,
    SignatureDef as SignatureDef,
    SignatureDefMap as SignatureDefMap,
    SSLConfig as SSLConfig,
    StatusProto as StatusProto,
    StructuredValue as StructuredValue,
    TensorInfo as TensorInfo,
    TensorProto as TensorProto,
    TensorShapeProto as TensorShapeProto,
    TensorSpecProto as TensorSpecProto,
    TrackableObjectGraph as TrackableObjectGraph,
    TypeSpecProto as TypeSpecProto,
    VariableDef as VariableDef,
)
from tfx_export.wire.pool import POOL as POOL, message_class, parse_text as parse_text

# The request in a PredictionLog, except for streamed ones.
LoggedRequest: TypeAlias = PredictRequest | ClassificationRequest | RegressionRequest | MultiInferenceRequest


@dataclass(frozen=True)
class Rpc:
    """A method of a gRPC service: its name and the classes of its messages."""

    name: str
    request: type[Message]
    response: type[Message]
    response_streaming: bool = False


def _rpcs(service: str) -> tuple[Rpc, ...]:
    return tuple(
        Rpc(
            method.name,
            message_class(method.input_type.full_name),
            message_class(method.output_type.full_name),
            method.server_streaming,
        )
        for method in POOL.FindServiceByName(service).methods
    )


# The methods of each service, by the full name of the service.
SERVICES: dict[str, tuple[Rpc, ...]] = {
    name: _rpcs(name)
    for name in (
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
    )
}
