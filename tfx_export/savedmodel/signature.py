"""Signature and TensorSpec: what a client may send and what it gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tfx_export import wire
from tfx_export.savedmodel.dtypes import dtype_name, dtype_number

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

DEFAULT_SIGNATURE = "serving_default"

# A dimension of any size is None; a shape of any rank is None.
Shape = tuple[int | None, ...]


def shape_from_proto(proto: wire.TensorShapeProto) -> Shape | None:
    """A TensorShapeProto as a Shape, None if the rank is unknown."""
    return None if proto.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in proto.dim)


def shape_text(shape: Shape | None) -> str:
    """`[?, 3]`, or `any shape`."""
    return "any shape" if shape is None else f"[{', '.join('?' if dim is None else str(dim) for dim in shape)}]"


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: the tensor in the graph, its dtype (`DT_FLOAT`) and shape.

    A sparse tensor is named by its values; a composite (ragged) one has no single tensor.
    """

    tensor: str
    dtype: str
    shape: Shape | None
    encoding: Literal["dense", "sparse", "composite"] = "dense"

    def __str__(self) -> str:
        return f"{self.dtype} {shape_text(self.shape)}"

    @classmethod
    def from_proto(cls, info: wire.TensorInfo) -> "TensorSpec":
        """From a TensorInfo."""
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
        """As a TensorInfo. Only a dense tensor is wholly described here."""
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
    """A named entry point: method (`tensorflow/serving/predict`, ...), inputs and outputs by the client's names."""

    name: str
    method: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    # Inputs a client may leave out.
    defaults: Mapping[str, wire.TensorProto] = field(default_factory=dict)

    @classmethod
    def from_proto(cls, name: str, proto: wire.SignatureDef) -> "Signature":
        return cls(
            name,
            proto.method_name,
            {key: TensorSpec.from_proto(proto.inputs[key]) for key in sorted(proto.inputs)},
            {key: TensorSpec.from_proto(proto.outputs[key]) for key in sorted(proto.outputs)},
            dict(proto.defaults),
        )

    def to_proto(self) -> wire.SignatureDef:
        proto = wire.SignatureDef(method_name=self.method)
        for key, spec in self.inputs.items():
            proto.inputs[key].CopyFrom(spec.to_proto())
        for key, spec in self.outputs.items():
            proto.outputs[key].CopyFrom(spec.to_proto())
        for key, value in self.defaults.items():
            proto.defaults[key].CopyFrom(value)
        return proto
