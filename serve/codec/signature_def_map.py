"""What GetModelMetadata tells of a model: its signatures."""

from collections.abc import Mapping

from tfx_export import wire
from tfx_export.savedmodel.signature import Signature


def signature_def_map(signatures: Mapping[str, Signature]) -> wire.SignatureDefMap:
    """A SignatureDefMap; without the defaults of inputs, as upstream."""
    message = wire.SignatureDefMap()
    for name, signature in signatures.items():
        proto = signature.to_proto()
        proto.ClearField("defaults")
        message.signature_def[name].CopyFrom(proto)
    return message
