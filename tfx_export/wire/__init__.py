"""The wire formats: message classes of TensorFlow and TensorFlow Serving, and the services a client calls."""

from dataclasses import dataclass

from tfx_export.wire.pool import POOL, Message, MessageClass, message_class, parse_text

__all__ = [
    "POOL",
    "SERVICES",
    "AssetFileDef",
    "BatchingParameters",
    "BytesList",
    "Class",
    "ClassificationRequest",
    "ClassificationResponse",
    "ClassificationResult",
    "Classifications",
    "ClassifyLog",
    "CollectionDef",
    "Example",
    "ExampleList",
    "ExampleListWithContext",
    "Feature",
    "FeatureList",
    "FeatureLists",
    "Features",
    "FileSystemStoragePathSourceConfig",
    "FloatList",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "GraphDef",
    "HealthCheckRequest",
    "HealthCheckResponse",
    "InferenceResult",
    "InferenceTask",
    "Input",
    "Int64List",
    "LogCollectorConfig",
    "LogMetadata",
    "LoggingConfig",
    "Message",
    "MessageClass",
    "MetaGraphDef",
    "MetaGraphIndex",
    "Metric",
    "ModelConfig",
    "ModelConfigList",
    "ModelServerConfig",
    "ModelSpec",
    "ModelVersionStatus",
    "MonitoringConfig",
    "MultiInferenceLog",
    "MultiInferenceRequest",
    "MultiInferenceResponse",
    "NodeDef",
    "OpList",
    "PerTaskSamplingConfig",
    "PlatformConfig",
    "PlatformConfigMap",
    "PredictLog",
    "PredictRequest",
    "PredictResponse",
    "PredictStreamedLog",
    "PredictStreamedOptions",
    "PredictionLog",
    "PrometheusConfig",
    "RegressLog",
    "Regression",
    "RegressionRequest",
    "RegressionResponse",
    "RegressionResult",
    "ReloadConfigRequest",
    "ReloadConfigResponse",
    "Rpc",
    "SSLConfig",
    "SamplingConfig",
    "SavedModel",
    "SavedModelIndex",
    "SavedObjectGraph",
    "SaverDef",
    "SequenceExample",
    "SignatureDef",
    "SignatureDefMap",
    "StatusProto",
    "StructuredValue",
    "TensorInfo",
    "TensorProto",
    "TensorShapeProto",
    "TrackableObjectGraph",
    "VariableDef",
    "message_class",
    "parse_text",
]

TensorShapeProto = message_class("tensorflow.TensorShapeProto")
TensorProto = message_class("tensorflow.TensorProto")
BytesList = message_class("tensorflow.BytesList")
FloatList = message_class("tensorflow.FloatList")
Int64List = message_class("tensorflow.Int64List")
Feature = message_class("tensorflow.Feature")
Features = message_class("tensorflow.Features")
FeatureList = message_class("tensorflow.FeatureList")
FeatureLists = message_class("tensorflow.FeatureLists")
Example = message_class("tensorflow.Example")
SequenceExample = message_class("tensorflow.SequenceExample")
GraphDef = message_class("tensorflow.GraphDef")
NodeDef = message_class("tensorflow.NodeDef")
OpList = message_class("tensorflow.OpList")
AssetFileDef = message_class("tensorflow.AssetFileDef")
CollectionDef = message_class("tensorflow.CollectionDef")
MetaGraphDef = message_class("tensorflow.MetaGraphDef")
SavedModel = message_class("tensorflow.SavedModel")
SignatureDef = message_class("tensorflow.SignatureDef")
TensorInfo = message_class("tensorflow.TensorInfo")
SaverDef = message_class("tensorflow.SaverDef")
VariableDef = message_class("tensorflow.VariableDef")
SavedObjectGraph = message_class("tensorflow.SavedObjectGraph")
StructuredValue = message_class("tensorflow.StructuredValue")
TrackableObjectGraph = message_class("tensorflow.TrackableObjectGraph")

ModelSpec = message_class("tensorflow.serving.ModelSpec")
ExampleList = message_class("tensorflow.serving.ExampleList")
ExampleListWithContext = message_class("tensorflow.serving.ExampleListWithContext")
Input = message_class("tensorflow.serving.Input")
PredictRequest = message_class("tensorflow.serving.PredictRequest")
PredictStreamedOptions = message_class("tensorflow.serving.PredictStreamedOptions")
PredictResponse = message_class("tensorflow.serving.PredictResponse")
Class = message_class("tensorflow.serving.Class")
Classifications = message_class("tensorflow.serving.Classifications")
ClassificationResult = message_class("tensorflow.serving.ClassificationResult")
ClassificationRequest = message_class("tensorflow.serving.ClassificationRequest")
ClassificationResponse = message_class("tensorflow.serving.ClassificationResponse")
Regression = message_class("tensorflow.serving.Regression")
RegressionResult = message_class("tensorflow.serving.RegressionResult")
RegressionRequest = message_class("tensorflow.serving.RegressionRequest")
RegressionResponse = message_class("tensorflow.serving.RegressionResponse")
InferenceTask = message_class("tensorflow.serving.InferenceTask")
InferenceResult = message_class("tensorflow.serving.InferenceResult")
MultiInferenceRequest = message_class("tensorflow.serving.MultiInferenceRequest")
MultiInferenceResponse = message_class("tensorflow.serving.MultiInferenceResponse")
SignatureDefMap = message_class("tensorflow.serving.SignatureDefMap")
GetModelMetadataRequest = message_class("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = message_class("tensorflow.serving.GetModelMetadataResponse")
StatusProto = message_class("tensorflow.serving.StatusProto")
GetModelStatusRequest = message_class("tensorflow.serving.GetModelStatusRequest")
ModelVersionStatus = message_class("tensorflow.serving.ModelVersionStatus")
GetModelStatusResponse = message_class("tensorflow.serving.GetModelStatusResponse")
FileSystemStoragePathSourceConfig = message_class("tensorflow.serving.FileSystemStoragePathSourceConfig")
ModelConfig = message_class("tensorflow.serving.ModelConfig")
ModelConfigList = message_class("tensorflow.serving.ModelConfigList")
ModelServerConfig = message_class("tensorflow.serving.ModelServerConfig")
PlatformConfig = message_class("tensorflow.serving.PlatformConfig")
PlatformConfigMap = message_class("tensorflow.serving.PlatformConfigMap")
Metric = message_class("tensorflow.serving.Metric")
ReloadConfigRequest = message_class("tensorflow.serving.ReloadConfigRequest")
ReloadConfigResponse = message_class("tensorflow.serving.ReloadConfigResponse")
PerTaskSamplingConfig = message_class("tensorflow.serving.PerTaskSamplingConfig")
LogCollectorConfig = message_class("tensorflow.serving.LogCollectorConfig")
SamplingConfig = message_class("tensorflow.serving.SamplingConfig")
LoggingConfig = message_class("tensorflow.serving.LoggingConfig")
LogMetadata = message_class("tensorflow.serving.LogMetadata")
ClassifyLog = message_class("tensorflow.serving.ClassifyLog")
RegressLog = message_class("tensorflow.serving.RegressLog")
PredictLog = message_class("tensorflow.serving.PredictLog")
PredictStreamedLog = message_class("tensorflow.serving.PredictStreamedLog")
MultiInferenceLog = message_class("tensorflow.serving.MultiInferenceLog")
PredictionLog = message_class("tensorflow.serving.PredictionLog")
BatchingParameters = message_class("tensorflow.serving.BatchingParameters")
SSLConfig = message_class("tensorflow.serving.SSLConfig")
PrometheusConfig = message_class("tensorflow.serving.PrometheusConfig")
MonitoringConfig = message_class("tensorflow.serving.MonitoringConfig")

HealthCheckRequest = message_class("grpc.health.v1.HealthCheckRequest")
HealthCheckResponse = message_class("grpc.health.v1.HealthCheckResponse")

SavedModelIndex = message_class("tfx_export.SavedModelIndex")
MetaGraphIndex = message_class("tfx_export.MetaGraphIndex")


@dataclass(frozen=True)
class Rpc:
    """One method of a gRPC service: its name and the classes of its messages."""

    name: str
    request: MessageClass
    response: MessageClass
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


# Full service name -> its methods.
SERVICES: dict[str, tuple[Rpc, ...]] = {
    name: _rpcs(name)
    for name in (
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
    )
}
