"""Builds inputs that are raw tensors, with the client's names, dtypes and shapes."""

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.exporting.signatures.tensors import Tensors, cast, describe, dtype_of, placeholder, with_shape_check
from tfx_export.exporting.source_graph import GraphInput, SourceGraph
from tfx_export.exporting.spec.model import InputSpec, SignatureSpec


def build_inputs(source: SourceGraph, spec: SignatureSpec) -> tuple[Tensors, Tensors]:
    """Returns placeholders by the client's names, and tensors for the source's inputs made from them."""
    wanted = spec.inputs or {name: InputSpec(name) for name in source.inputs}
    require_each_input_once(source, spec.name, [one.source for one in wanted.values()])
    client_inputs, source_inputs = {}, {}
    for alias, one in wanted.items():
        where = f"Signature {spec.name!r}, input {alias!r}"
        target = source.inputs[one.source]
        shape = _shape(one, target, where)
        client_inputs[alias] = placeholder(alias, dtype_of(one.dtype, where) if one.dtype else target.dtype, shape)
        source_inputs[one.source] = cast(with_shape_check(client_inputs[alias], shape), target.dtype, where)
    return client_inputs, source_inputs


def require_each_input_once(source: SourceGraph, signature: str, fed: list[str]) -> None:
    """Raises SpecError unless `fed` names every input of the source once."""
    existing = ", ".join(f"{name!r} {describe(one.dtype, one.shape)}" for name, one in source.inputs.items())
    for name in fed:
        if name not in source.inputs:
            raise SpecError(
                f"Signature {signature!r}: the model has no input {name!r}.", hint=f"Its inputs: {existing}"
            )
        if fed.count(name) > 1:
            raise SpecError(f"Signature {signature!r} feeds the model's input {name!r} twice.")
    if missing := [name for name in source.inputs if name not in fed]:
        raise SpecError(
            f"Signature {signature!r} leaves the model's input {missing[0]!r} without a value.",
            hint=f"Every input must be fed. The model's inputs: {existing}",
        )


def _shape(one: InputSpec, target: GraphInput, where: str) -> tf.TensorShape:
    if one.shape is None:
        return target.shape
    shape = tf.TensorShape(one.shape)
    if not shape.is_compatible_with(target.shape):
        raise SpecError(
            f"{where}: shape {list(one.shape)} does not fit the model's {describe(target.dtype, target.shape)}.",
            hint="A shape may fix dimensions that the model leaves open (null), and no others.",
        )
    return shape.merge_with(target.shape)
