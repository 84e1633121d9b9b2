"""Builds the signatures of a spec in the source's graph."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import tensorflow as tf

from tfx_export.errors import SpecError
from tfx_export.exporting.signatures import example_inputs, image_inputs, outputs, tensor_inputs
from tfx_export.exporting.signatures.keep_signatures import keep_signatures
from tfx_export.exporting.signatures.signature_graph import SignatureGraph
from tfx_export.exporting.signatures.tensors import Tensors, tensor_specs
from tfx_export.exporting.source_graph import Arrays, SourceGraph
from tfx_export.exporting.spec.model import ExportSpec, SignatureSpec, default_of
from tfx_export.savedmodel.serving_methods import check_serving_method, full_method_name
from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE, Signature


def build_signatures(source: SourceGraph, spec: ExportSpec) -> tuple[SignatureGraph, ...]:
    """Adds the signatures of `spec` to the source's graph; the default signature also as `serving_default`.

    Without any in `spec`, the source's own signatures are kept; without those, there is one Predict signature.
    Raises SpecError with the rule and the fix if one does not fit the source, or breaks a rule of serving.
    """
    if source.signatures and not spec.signatures:
        return keep_signatures(source, spec.default)
    source = source.without_devices() if spec.clear_devices else source
    spec = spec if spec.signatures else replace(spec, signatures=(SignatureSpec(DEFAULT_SIGNATURE),))
    built = [build_signature(source, one) for one in spec.signatures]
    default = default_of(spec)
    if default != DEFAULT_SIGNATURE:
        chosen = next((one for one in built if one.signature.name == default), None)
        if chosen is None:
            raise SpecError(
                f"The default signature {default!r} is not among the signatures.",
                hint=f"Signatures: {', '.join(one.signature.name for one in built)}",
            )
        if DEFAULT_SIGNATURE in {one.signature.name for one in built}:
            raise SpecError(
                f"The default signature should be {default!r}, but another signature is named {DEFAULT_SIGNATURE!r}.",
                hint="Give that signature another name, or leave the default out.",
            )
        built.insert(0, replace(chosen, signature=replace(chosen.signature, name=DEFAULT_SIGNATURE)))
    return tuple(built)


def source_runner(built: Sequence[SignatureGraph]) -> Callable[[str, Arrays], Arrays]:
    """Returns a function that runs the source for the signature of a given name, to compare the export with."""
    run_by_name = {one.signature.name: one.run_source for one in built}
    return lambda name, inputs: run_by_name[name](inputs)


def build_signature(source: SourceGraph, spec: SignatureSpec) -> SignatureGraph:
    """Adds one signature to the source's graph. Raises SpecError if it does not fit."""
    with source.graph.as_default(), tf.name_scope(spec.name):
        if spec.image is not None and (spec.features is not None or spec.method != "predict"):
            raise SpecError(
                f"Signature {spec.name!r}: encoded images can only be sent to Predict.",
                hint=f"TensorFlow Serving sends {spec.method.capitalize()} tf.Examples. Use method: image.",
            )
        if spec.features is not None or spec.method != "predict":
            client_inputs, source_inputs = example_inputs.build_inputs(source, spec)
        elif spec.image is not None:
            client_inputs, source_inputs = image_inputs.build_inputs(source, spec)
        else:
            client_inputs, source_inputs = tensor_inputs.build_inputs(source, spec)
        source_outputs = source.call(source_inputs)
        initialized = set(_table_initializers())
        client_outputs = outputs.BUILD_OUTPUTS[spec.method](source_outputs, spec)
        source.session.run([initializer for initializer in _table_initializers() if initializer not in initialized])
    signature = Signature(
        spec.name, full_method_name(spec.method), tensor_specs(client_inputs), tensor_specs(client_outputs)
    )
    check_serving_method(signature)
    return SignatureGraph(
        signature, _source_runner(source, client_inputs, source_inputs, source_outputs, client_outputs)
    )


def _table_initializers() -> list[tf.Operation]:
    operations: list[tf.Operation] = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
    return operations


def _source_runner(
    source: SourceGraph,
    client_inputs: Tensors,
    source_inputs: Tensors,
    source_outputs: Tensors,
    client_outputs: Tensors,
) -> Callable[[Arrays], Arrays]:
    """Returns a function that replaces the source's part of the graph by the source itself."""

    def run_source(inputs: Arrays) -> Arrays:
        feeds = {client_inputs[key]: value for key, value in inputs.items()}
        computed = source.reference(source.session.run(source_inputs, feeds))
        feeds |= {tensor: computed[key] for key, tensor in source_outputs.items()}
        results: Arrays = source.session.run(client_outputs, feeds)
        return results

    return run_source
