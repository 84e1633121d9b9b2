"""Makes the SignatureDefMap of a GetModelMetadata response: the signatures of a model."""

from collections.abc import Mapping

from tfx_export import wire
from tfx_export.savedmodel.signature import Signature


def signature_def_map(signatures: Mapping[str, Signature]) -> wire.SignatureDefMap:
    """Returns a SignatureDefMap, like TensorFlow Serving without the default values of inputs."""
    message = wire.SignatureDefMap()
    for name, signature in signatures.items():
        proto = signature.to_proto()
        proto.ClearField("defaults")
        message.signature_def[name].CopyFrom(proto)
    return message
