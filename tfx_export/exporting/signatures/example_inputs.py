"""Builds inputs that are serialized tf.Examples, as TensorFlow Serving sends them for Classify and Regress."""

from typing import TypeAlias

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.exporting.signatures.tensor_inputs import require_each_input_once
from tfx_export.exporting.signatures.tensors import Tensors, cast, describe, dtype_of, placeholder, with_shape_check
from tfx_export.exporting.source_graph import GraphInput, SourceGraph
from tfx_export.exporting.spec.model import FeatureSpec, SignatureSpec

_Reader: TypeAlias = tf.io.FixedLenFeature | tf.io.SparseFeature | tf.io.VarLenFeature


def build_inputs(source: SourceGraph, spec: SignatureSpec) -> tuple[Tensors, Tensors]:
    """Returns the placeholder `inputs` of serialized examples, and tensors for the source's inputs parsed from them."""
    features = spec.features
    if features is None:
        features = tuple(_default_feature(name, one, spec.name) for name, one in source.inputs.items())
    require_each_input_once(source, spec.name, [feature.input for feature in features])
    client_input = placeholder("inputs", tf.string, [None])
    readers = {feature.name: _reader(feature, source.inputs[feature.input], spec.name) for feature in features}
    parsed = tf.io.parse_example(with_shape_check(client_input, [None]), readers)
    return {"inputs": client_input}, {
        feature.input: _tensor(feature, parsed[feature.name], source.inputs[feature.input], spec.name)
        for feature in features
    }


def _default_feature(name: str, target: GraphInput, signature: str) -> FeatureSpec:
    """Returns the feature for an input that the spec does not mention, with its name and shape."""
    sizes = target.shape.as_list()[1:] if target.shape.rank else None
    if sizes is not None and None not in sizes:
        return FeatureSpec(name, name)
    if sizes == [None]:
        return FeatureSpec(name, name, "varlen")
    raise SpecError(
        f"Signature {signature!r}: the input {name!r} is {describe(target.dtype, target.shape)}, "
        "but a tf.Example needs its size.",
        hint="Give the feature in a spec file: features: {" + name + ": {shape: [...]}}",
    )


def _reader(feature: FeatureSpec, target: GraphInput, signature: str) -> _Reader:
    where = f"Signature {signature!r}, feature {feature.name!r}"
    dtype = _example_dtype(feature, target, where)
    if feature.kind == "varlen":
        return tf.io.VarLenFeature(dtype)
    if feature.kind == "sparse":
        index, value = feature.index, feature.value
        if index is None or value is None or feature.size is None:
            raise SpecError(f"{where} is sparse and needs index, value and size.")
        return tf.io.SparseFeature(index, value, dtype, feature.size)
    sizes = feature.shape
    if sizes is None:
        if target.shape.rank is None or None in target.shape.as_list()[1:]:
            raise SpecError(
                f"{where} needs a shape: the model's input is {describe(target.dtype, target.shape)}.",
                hint="Give the shape of one example, without the batch dimension.",
            )
        sizes = tuple(target.shape.as_list()[1:])
    default = feature.default
    if default is not None and not isinstance(default, tuple):
        default = (default,) * max(1, tf.TensorShape(sizes).num_elements())
    if default is not None and len(default) != tf.TensorShape(sizes).num_elements():
        raise SpecError(f"{where}: the default has {len(default)} values, but the shape is {list(sizes)}.")
    return tf.io.FixedLenFeature(
        sizes, dtype, None if default is None else tf.reshape(_constant(default, dtype), sizes)
    )


def _example_dtype(feature: FeatureSpec, target: GraphInput, where: str) -> tf.DType:
    """Returns the dtype in the tf.Example, which holds float32, int64 and bytes; it is cast for the source."""
    wanted = dtype_of(feature.dtype, where) if feature.dtype else target.dtype
    if wanted == tf.string:
        return tf.string
    if feature.dtype and wanted not in (tf.float32, tf.int64):
        raise SpecError(
            f"{where}: a tf.Example cannot hold {feature.dtype}.", hint="It holds float32, int64 and string."
        )
    return tf.float32 if wanted.is_floating else tf.int64


def _tensor(feature: FeatureSpec, parsed: tf.Tensor | tf.SparseTensor, target: GraphInput, signature: str) -> tf.Tensor:
    where = f"Signature {signature!r}, feature {feature.name!r}"
    if isinstance(parsed, tf.SparseTensor):
        default = feature.default if feature.default is not None else ("" if parsed.dtype == tf.string else 0)
        parsed = tf.sparse.to_dense(parsed, _constant(default, parsed.dtype), validate_indices=False)
    tensor = cast(parsed, target.dtype, where)
    if not tensor.shape.is_compatible_with(target.shape):
        raise SpecError(
            f"{where} is {describe(tensor.dtype, tensor.shape)}, "
            f"but the model's input {feature.input!r} is {describe(target.dtype, target.shape)}.",
            hint="The shape is that of one example, without the batch dimension.",
        )
    return with_shape_check(tensor, target.shape)


def _constant(value: object, dtype: tf.DType) -> tf.Tensor:
    return tf.constant(value, dtype)
