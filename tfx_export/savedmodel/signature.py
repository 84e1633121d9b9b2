"""Signature and TensorSpec: the inputs that a client sends and the outputs that it receives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tfx_export import wire
from tfx_export.savedmodel.dtypes import dtype_name, dtype_number

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

DEFAULT_SIGNATURE = "serving_default"
# The names of signatures that TensorFlow writes for itself, to initialise or train a model.
INTERNAL_PREFIX = "__saved_model_"

# None stands for a dimension of any size, and instead of a Shape for any rank.
Shape = tuple[int | None, ...]


def shape_from_proto(proto: wire.TensorShapeProto) -> Shape | None:
    """Returns a TensorShapeProto as a Shape, or None if the rank is unknown."""
    return None if proto.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in proto.dim)


def shape_text(shape: Shape | None) -> str:
    """Returns a text such as `[?, 3]`, or `any shape` for None."""
    return "any shape" if shape is None else f"[{', '.join('?' if dim is None else str(dim) for dim in shape)}]"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: the name of its tensor in the graph, its dtype (`DT_FLOAT`) and its shape.

    For a sparse tensor, `tensor` names its values. For a composite (ragged) tensor, `tensor` is empty.
    """

    tensor: str
    dtype: str
    shape: Shape | None
    encoding: Literal["dense", "sparse", "composite"] = "dense"

    def __str__(self) -> str:
        return f"{self.dtype} {shape_text(self.shape)}"

    @classmethod
    def from_proto(cls, info: wire.TensorInfo) -> "TensorSpec":
        """Returns the TensorSpec of a TensorInfo."""
        dims = shape_from_proto(info.tensor_shape)
        dtype = dtype_name(info.dtype)
        match info.WhichOneof("encoding"):
            case "coo_sparse":
                return cls(info.coo_sparse.values_tensor_name, dtype, dims, "sparse")
            case "composite_tensor":
                return cls("", dtype, dims, "composite")
            case _:
                return cls(info.name, dtype, dims)

    def to_proto(self) -> wire.TensorInfo:
        """Returns a TensorInfo. It is complete for dense tensors only."""
        info = wire.TensorInfo(name=self.tensor, dtype=dtype_number(self.dtype))
        if self.shape is None:
            info.tensor_shape.unknown_rank = True
        else:
            info.tensor_shape.SetInParent()
            for size in self.shape:
                info.tensor_shape.dim.add(size=-1 if size is None else size)
        return info


@dataclass(frozen=True)
class Signature:
    """An entry point of a model: its name, its method, and its inputs and outputs by the names that clients use.

    `method` is a full name such as `tensorflow/serving/predict`. `defaults` holds the inputs that clients may omit,
    with their default values as TensorProtos.
    """

    name: str
    method: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    defaults: Mapping[str, wire.TensorProto] = field(default_factory=dict)

    @classmethod
    def from_proto(cls, name: str, proto: wire.SignatureDef) -> "Signature":
        """Returns the Signature of a SignatureDef."""
        return cls(
            name,
            proto.method_name,
            {key: TensorSpec.from_proto(proto.inputs[key]) for key in sorted(proto.inputs)},
            {key: TensorSpec.from_proto(proto.outputs[key]) for key in sorted(proto.outputs)},
            dict(proto.defaults),
        )

    def to_proto(self) -> wire.SignatureDef:
        """Returns a SignatureDef."""
        proto = wire.SignatureDef(method_name=self.method)
        for key, spec in self.inputs.items():
            proto.inputs[key].CopyFrom(spec.to_proto())
        for key, spec in self.outputs.items():
            proto.outputs[key].CopyFrom(spec.to_proto())
        for key, value in self.defaults.items():
            proto.defaults[key].CopyFrom(value)
        return proto
