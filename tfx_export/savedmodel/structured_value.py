"""Decodes StructuredValue, the argument types of a TF2 function, to Python values that print as in TensorFlow."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfx_export import wire
from tfx_export.savedmodel.dtypes import dtype_name, type_string
from tfx_export.savedmodel.signature import Shape, shape_from_proto


@dataclass(frozen=True)
class DType:
    """A dtype as an argument type: prints as `tf.float32`."""

    number: int

    def __repr__(self) -> str:
        name = type_string(dtype_name(self.number))
        # These three have a different name in Python.
        return "tf." + {"float": "float32", "double": "float64", "half": "float16"}.get(name, name)


@dataclass(frozen=True)
class TensorShape:
    """A shape inside a composite's type: prints as `TensorShape([None, 3])`."""

    dims: Shape | None

    @classmethod
    def from_proto(cls, proto: wire.TensorShapeProto) -> "TensorShape":
        return cls(shape_from_proto(proto))

    def __str__(self) -> str:
        return "<unknown>" if self.dims is None else str(self.dims)

    def __repr__(self) -> str:
        return f"TensorShape({None if self.dims is None else list(self.dims)})"


@dataclass(frozen=True, repr=False)
class TensorType:
    """A dense tensor as an argument: prints as `TensorSpec(shape=(None, 3), dtype=tf.float32, name='x')`."""

    shape: TensorShape
    dtype: DType
    name: str | None
    class_name: str = "TensorSpec"

    def __repr__(self) -> str:
        return f"{self.class_name}(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"


@dataclass(frozen=True, repr=False)
class CompositeType:
    """A ragged, sparse or other composite tensor as an argument: the class name and state that TensorFlow stored."""

    class_name: str
    state: object

    def __repr__(self) -> str:
        return f"{self.class_name}{self.state!r}"


def _tensor_type(proto: wire.TensorSpecProto | wire.BoundedTensorSpecProto) -> TensorType:
    class_name = proto.DESCRIPTOR.name.removesuffix("Proto")
    return TensorType(TensorShape.from_proto(proto.shape), DType(proto.dtype), proto.name or None, class_name)


def _composite(proto: wire.TypeSpecProto) -> CompositeType:
    # A registered name contains its package ("keras.KerasTensorSpec"); the class is the last part.
    return CompositeType(proto.type_spec_class_name.rpartition(".")[2], decode(proto.type_state))


def _named_tuple(proto: wire.NamedTupleValue) -> tuple[object, ...]:
    fields = [pair.key for pair in proto.values]
    values: list[Any] = [decode(pair.value) for pair in proto.values]
    try:
        return namedtuple(proto.name, fields)(*values)
    except ValueError:  # Python does not allow these names.
        return tuple(values)


_DECODERS: dict[str, Callable[[Any], object]] = {
    "none_value": lambda _: None,
    "tensor_shape_value": TensorShape.from_proto,
    "tensor_dtype_value": DType,
    "tensor_spec_value": _tensor_type,
    "bounded_tensor_spec_value": _tensor_type,
    "type_spec_value": _composite,
    "list_value": lambda proto: [decode(value) for value in proto.values],
    "tuple_value": lambda proto: tuple(decode(value) for value in proto.values),
    # The map is not ordered.
    "dict_value": lambda proto: {key: decode(proto.fields[key]) for key in sorted(proto.fields)},
    "named_tuple_value": _named_tuple,
}


def decode(value: wire.StructuredValue) -> object:
    """Returns the Python value of a StructuredValue, or None if it is empty."""
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    content = getattr(value, kind)
    return _DECODERS[kind](content) if kind in _DECODERS else content
