"""Signatures: ops in the source's graph, between what a client sends and the source, and back.

`fronts` make the source's inputs out of what a client sends, `heads` make the answer out of the source's outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.exporting.signatures import example, heads, image, raw
from tfx_export.exporting.signatures.tensors import Tensors, tensor_specs
from tfx_export.exporting.source_graph import Arrays, SourceGraph
from tfx_export.exporting.spec.model import ExportSpec, SignatureSpec, default_of
from tfx_export.savedmodel.serving_methods import check_serving_method, full_method_name
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature


@dataclass(frozen=True)
class Signed:
    """A signature in the source's graph.

    `ask` gives the source's own answer to the inputs of the signature, computed outside of the graph that is written.
    """

    signature: Signature
    ask: Callable[[Arrays], Arrays]


def sign(source: SourceGraph, spec: ExportSpec) -> tuple[Signed, ...]:
    """Add the signatures of `spec` to the source's graph; the default one also as `serving_default`.

    Raises SpecError, saying the rule and the fix, if one does not fit the source or the contracts of serving.
    """
    source = source.without_devices() if spec.clear_devices else source
    signed = [_sign(source, one) for one in spec.signatures]
    default = default_of(spec)
    if default != DEFAULT_SIGNATURE:
        chosen = next((one for one in signed if one.signature.name == default), None)
        if chosen is None:
            raise SpecError(
                f"The default signature {default!r} is not among the signatures.",
                hint=f"Signatures: {', '.join(one.signature.name for one in signed)}",
            )
        if DEFAULT_SIGNATURE in {one.signature.name for one in signed}:
            raise SpecError(
                f"The default signature is to be {default!r}, and another is named {DEFAULT_SIGNATURE!r}.",
                hint="Name that one otherwise, or leave the default away.",
            )
        signed.insert(0, replace(chosen, signature=replace(chosen.signature, name=DEFAULT_SIGNATURE)))
    return tuple(signed)


def asker(signed: Sequence[Signed]) -> Callable[[str, Arrays], Arrays]:
    """What answers for the source, by the name of the signature: for verification to compare with."""
    asks = {one.signature.name: one.ask for one in signed}
    return lambda name, inputs: asks[name](inputs)


def _sign(source: SourceGraph, spec: SignatureSpec) -> Signed:
    with source.graph.as_default(), tf.name_scope(spec.name):
        if spec.image is not None and (spec.features is not None or spec.method != "predict"):
            raise SpecError(
                f"Signature {spec.name!r}: encoded images can only be sent to Predict.",
                hint=f"TensorFlow Serving sends {spec.method.capitalize()} tf.Examples. Use method: image.",
            )
        if spec.features is not None or spec.method != "predict":
            sent, fed = example.front(source, spec)
        elif spec.image is not None:
            sent, fed = image.front(source, spec)
        else:
            sent, fed = raw.front(source, spec)
        computed = source.call(fed)
        filled = set(_table_initializers())
        answer = heads.HEADS[spec.method](computed, spec)
        source.session.run([fill for fill in _table_initializers() if fill not in filled])
    signature = Signature(spec.name, full_method_name(spec.method), tensor_specs(sent), tensor_specs(answer))
    check_serving_method(signature)
    return Signed(signature, _ask(source, sent, fed, computed, answer))


def _table_initializers() -> list[Any]:
    operations: list[Any] = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
    return operations


def _ask(
    source: SourceGraph, sent: Tensors, fed: Tensors, computed: Tensors, answer: Tensors
) -> Callable[[Arrays], Arrays]:
    def ask(inputs: Arrays) -> Arrays:
        feeds = {sent[key]: value for key, value in inputs.items()}
        truth = source.reference(source.session.run(fed, feeds))
        answers: Arrays = source.session.run(answer, {**feeds, **{computed[key]: truth[key] for key in computed}})
        return answers

    return ask
