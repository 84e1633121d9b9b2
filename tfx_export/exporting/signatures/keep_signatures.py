"""Writes the source's own signatures as they are: same names, methods, inputs, outputs and default values.

Signatures that share tensors in the source share them in the export. TensorFlow Serving's MultiInference needs that:
it runs several signatures with one input at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.exporting.signatures.signature_graph import SignatureGraph
from tfx_export.exporting.signatures.tensors import (
    Tensors,
    op_name,
    placeholder,
    tensor_specs,
    with_op_names,
    with_shape_check,
)
from tfx_export.exporting.source_graph import OwnSignature, SourceGraph
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, PREDICT, Signature


@dataclass(frozen=True)
class _Call:
    """The ops of one graph of the source: its placeholders and its outputs, by their names in that graph."""

    inputs: Tensors
    outputs: Tensors


def keep_signatures(source: SourceGraph, default: str | None) -> tuple[SignatureGraph, ...]:
    """Adds the source's own signatures to its graph, one of them also as `serving_default`.

    That is `default`, else the source's own `serving_default`, else its first Predict signature, else its first.
    Raises SpecError if the source has no signature `default`.
    """
    calls: dict[int, _Call] = {}
    built: dict[str, SignatureGraph] = {}
    with source.graph.as_default():
        for own in source.signatures:
            if id(own.graph) not in calls:
                calls[id(own.graph)] = _call(own.graph, source.signatures)
            built[own.name] = _keep(own, calls[id(own.graph)])
    chosen = default or (DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in built else _first(built))
    if chosen not in built:
        raise SpecError(
            f"The default signature {chosen!r} is not among the signatures.", hint=f"Signatures: {', '.join(built)}"
        )
    signature = replace(built[chosen].signature, name=DEFAULT_SIGNATURE)
    others = [one for name, one in built.items() if name != DEFAULT_SIGNATURE]
    return (replace(built[chosen], signature=signature), *others)


def _call(graph: SourceGraph, signatures: tuple[OwnSignature, ...]) -> _Call:
    """Adds the ops of `graph`; each placeholder is named after the first signature that has it."""
    places = {
        key: (own.name, alias)
        for own in reversed(signatures)
        if own.graph is graph
        for alias, key in own.inputs.items()
    }
    inputs = {}
    for key, one in graph.inputs.items():
        signature, alias = places[key]
        with tf.name_scope(f"{op_name(signature)}/"):
            inputs[key] = placeholder(alias, one.dtype, one.shape)
    checked = {key: with_shape_check(tensor, graph.inputs[key].shape) for key, tensor in inputs.items()}
    return _Call(inputs, graph.call(checked))


def _keep(own: OwnSignature, call: _Call) -> SignatureGraph:
    inputs = {alias: call.inputs[key] for alias, key in own.inputs.items()}
    with tf.name_scope(f"{op_name(own.name)}/"):
        outputs = with_op_names({alias: call.outputs[key] for alias, key in own.outputs.items()})
    signature = Signature(own.name, own.method, tensor_specs(inputs), tensor_specs(outputs), own.defaults)
    return SignatureGraph(signature, own.reference)


def _first(built: Mapping[str, SignatureGraph]) -> str:
    signatures = [one.signature for one in built.values()]
    predict = [one for one in signatures if one.method == PREDICT]
    with_inputs = [one for one in predict if one.inputs]
    return (with_inputs or predict or signatures)[0].name
