"""A Python function as a source: a tf.function, a tf.Module, or any callable given what it takes."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.functions import lift
from tfx_export.exporting.graph import Arrays, GraphInput, SourceGraph

_SIGNED = "Decorate it with tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32, name='images')])"


def open_function(
    target: Any, *, inputs: Mapping[str, Any] | None = None, description: str = "function"
) -> SourceGraph:
    """`target`, a tf.function, a tf.Module with `__call__`, or a callable, as a SourceGraph.

    `inputs` says what it takes where it has no input_signature: something with a dtype and a shape, by argument name.
    """
    concrete = _concrete(target, inputs)
    lifted = lift(concrete)
    names = _input_names(concrete)
    outputs = _outputs(concrete.structured_outputs)

    def reference(arrays: Arrays) -> Arrays:
        feeds = [tf.constant(arrays[name], tensor.dtype) for name, tensor in zip(names, concrete.inputs, strict=False)]
        flat = tf.nest.flatten(concrete._call_flat(feeds, concrete.captured_inputs))
        return {name: value.numpy() for name, value in zip(outputs, flat, strict=True)}

    return SourceGraph(
        session=lifted.session,
        body=lifted.body,
        inputs={
            name: GraphInput(tensor.name, tensor.dtype, tensor.shape)
            for name, tensor in zip(names, concrete.inputs, strict=False)
        },
        outputs=dict(zip(outputs, concrete.outputs, strict=True)),
        state=lifted.state,
        reference=reference,
        description=description,
    )


def _concrete(target: Any, inputs: Mapping[str, Any] | None) -> Any:
    call = target.__call__ if isinstance(target, tf.Module) else target
    if not callable(call):
        raise SourceError(f"{target!r} cannot be called.", hint="Name a tf.function, a tf.Module or a function.")
    if not hasattr(call, "get_concrete_function"):
        call = tf.function(call, autograph=False)
    try:
        if inputs is None:
            return call.get_concrete_function()
        specs = {name: tf.TensorSpec(one.shape, one.dtype, name) for name, one in inputs.items()}
        return call.get_concrete_function(**specs)
    except (TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise SpecError(
            f"What the function takes is not known, or does not fit: {reason}",
            hint=f"{_SIGNED}, or say it here: --input images=float32[?,784]",
        ) from error


def _input_names(concrete: Any) -> list[str]:
    """The names of the flat inputs: those of the arguments, `x_1` and so on where one argument holds several."""
    own = concrete.inputs[: len(concrete.inputs) - len(concrete.captured_inputs)]
    return [tensor.name.partition(":")[0] for tensor in own]


def _outputs(structure: Any) -> list[str]:
    """Names for flat outputs: keys of a dict, fields of a named tuple, `output`, `output_1` for the rest."""
    keys = sorted(structure) if isinstance(structure, Mapping) else getattr(structure, "_fields", None)
    if keys:
        return [str(key) for key in keys]
    count = len(tf.nest.flatten(structure))
    return ["output" if position == 0 else f"output_{position}" for position in range(count)]
