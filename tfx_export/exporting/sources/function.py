"""Opens a Python function as a source: a tf.function, a tf.Module, or any callable with specs of its inputs."""

from collections.abc import Mapping

import tensorflow as tf

from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.source_graph import Arrays, GraphInput, SourceGraph
from tfx_export.exporting.sources.flat_names import Nest, composite_names, flat_names
from tfx_export.exporting.sources.lift_function import lift

_SIGNATURE_HINT = (
    "Decorate it with tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32, name='images')])"
)


def open_function(
    target: object, *, inputs: Mapping[str, Nest] | None = None, description: str = "function"
) -> SourceGraph:
    """Opens `target`: a tf.function, a tf.Module with `__call__`, or a callable.

    `inputs` describes the arguments of a function without an input_signature: by argument name an object with a dtype
    and a shape, or a nest of such objects. Raises SourceError if `target` cannot be called, SpecError if its inputs
    are unknown or do not fit.
    """
    concrete = _concrete(target, inputs)
    lifted = lift(concrete)
    names = _input_names(concrete)
    outputs = flat_names(concrete.structured_outputs)

    def reference(arrays: Arrays) -> Arrays:
        feeds = [tf.constant(arrays[name], tensor.dtype) for name, tensor in zip(names, concrete.inputs, strict=False)]
        flat = tf.nest.flatten(concrete._call_flat(feeds, concrete.captured_inputs), expand_composites=True)
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
        reference=lifted.keep_state(reference),
        description=description,
    )


def _concrete(target: object, inputs: Mapping[str, Nest] | None) -> "tf.types.experimental.ConcreteFunction":
    if not callable(target):
        functions = [name for name in dir(target) if hasattr(getattr(target, name, None), "get_concrete_function")]
        raise SourceError(
            f"{type(target).__name__} cannot be called: it has no __call__.",
            hint=f"Name one of its functions: {', '.join(functions)} (MODULE:ATTRIBUTE.{functions[0]})"
            if functions
            else "Name a tf.function, a tf.Module with __call__, or a function.",
        )
    call = target.__call__ if isinstance(target, tf.Module) else target
    if not hasattr(call, "get_concrete_function"):
        call = tf.function(call, autograph=False)
    try:
        if inputs is None:
            return call.get_concrete_function()
        return call.get_concrete_function(**{name: _spec(name, one) for name, one in inputs.items()})
    except (TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise SpecError(
            f"The inputs of the function are unknown or do not fit: {reason}",
            hint=f"{_SIGNATURE_HINT}, or describe the inputs here: --input images=float32[?,784]",
        ) from error


def _spec(name: str, one: Nest) -> Nest:
    """Returns the spec with which an argument is traced; the tensors of a nest are named by their keys and indices."""
    if isinstance(one, Mapping):
        return {key: _spec(f"{name}_{key}", item) for key, item in one.items()}
    if isinstance(one, list | tuple):
        return [_spec(f"{name}_{place}", item) for place, item in enumerate(one)]
    if isinstance(one, tf.TypeSpec) and not isinstance(one, tf.TensorSpec):
        return one
    return tf.TensorSpec(one.shape, one.dtype, name)


def _input_names(concrete: "tf.types.experimental.ConcreteFunction") -> list[str]:
    """Returns the names of the flat inputs: those of the arguments, or `x_1` and so on for a nested argument."""
    tensors = iter(concrete.inputs[: len(concrete.inputs) - len(concrete.captured_inputs)])
    names: list[str] = []
    for leaf in tf.nest.flatten(concrete.structured_input_signature):
        if isinstance(leaf, tf.TypeSpec):  # a Python value has no tensor
            parts = [next(tensors) for _ in tf.nest.flatten(leaf, expand_composites=True)]
            names += composite_names(parts[0].name.partition(":")[0], leaf)
    return names
