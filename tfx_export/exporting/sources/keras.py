"""Keras models as a source: Keras 3 itself, and tf_keras for what Keras 1 and 2 wrote."""

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.source_graph import Arrays, GraphInput, SourceGraph
from tfx_export.exporting.sources.keras_file import KerasFile
from tfx_export.exporting.sources.keras_inputs import Inputs, model_inputs, names
from tfx_export.exporting.sources.keras_load import keras_reason, load
from tfx_export.exporting.sources.lift_function import lift


def open_file(file: KerasFile) -> SourceGraph:
    """Load the model in `file` with the Keras that wrote it. Raises SourceError if that fails."""
    if file.container == "savedmodel":
        return _open_saved_model(file)
    return open_model(load(file), description=f"{file.path.name} (Keras {file.keras_version or '1'})")


def open_model(model: Any, *, description: str = "") -> SourceGraph:
    """A Keras or tf_keras model as a SourceGraph: inference mode, batch dimension free if the model allows it."""
    description = description or f"Keras model {model.name}"
    # Layers are the user's code and may raise anything.
    try:
        call = _Call(model, model_inputs(model))
        function = call.trace()
        if _sizes(function.outputs) & _sizes(model_inputs(model, free_batch=False).specs.values()):
            raise ValueError("it answers for one batch size only")
        return _source(call, function, description, ())
    except SourceError:
        raise
    except Exception as refusal:
        # Some layers are written for one batch size.
        call = _Call(model, model_inputs(model, free_batch=False))
        try:
            note = "The model takes one batch size only; it is in the shapes above."
            return _source(call, call.trace(), description, (note,))
        except Exception:
            raise SourceError(f"{description} cannot be called on its inputs: {keras_reason(refusal)}") from refusal


def _sizes(tensors: Iterable[Any]) -> set[int]:
    """The batch sizes that are fixed in `tensors`, or in their specs."""
    return {tensor.shape[0] for tensor in tensors if tensor.shape.rank} - {None}


class _Call:
    """A model as a function of flat tensors, with names for what it answers."""

    def __init__(self, model: Any, inputs: Inputs) -> None:
        self.inputs = inputs
        self.outputs: list[str] = []
        self._model = model

    def __call__(self, *tensors: Any) -> list[Any]:
        result = self.inputs.call(tensors)
        flat: list[Any] = tf.nest.flatten(result, expand_composites=True)
        symbolic = getattr(self._model, "outputs", None)
        self.outputs = names(result, symbolic if symbolic and len(symbolic) == len(flat) else flat)
        return flat

    def trace(self) -> Any:
        # autograph off: Keras converts what it must by itself.
        function = tf.function(lambda *tensors: self(*tensors), autograph=False)
        return function.get_concrete_function(*self.inputs.specs.values())


def _source(call: _Call, function: Any, description: str, notes: tuple[str, ...]) -> SourceGraph:
    def reference(arrays: Arrays) -> Arrays:
        tensors = [tf.constant(arrays[name], spec.dtype) for name, spec in call.inputs.specs.items()]
        return {name: value.numpy() for name, value in zip(call.outputs, call(*tensors), strict=True)}

    outputs = dict(zip(call.outputs, function.outputs, strict=True))
    return _lifted(function, call.inputs.specs, outputs, reference, description, notes)


def _open_saved_model(file: KerasFile) -> SourceGraph:
    """The signature that Keras 2 wrote into a SavedModel, named after the layers; it needs none of their code."""
    try:
        loaded = tf.saved_model.load(str(file.path))
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise SourceError(f"TensorFlow cannot load the SavedModel {file.path}: {error}") from error
    if "serving_default" not in loaded.signatures:
        raise SourceError(
            f"The SavedModel {file.path} has no signature serving_default.",
            hint=f"Its signatures: {', '.join(loaded.signatures) or 'none'}",
        )
    function = loaded.signatures["serving_default"]
    specs = dict(sorted(function.structured_input_signature[1].items()))

    def reference(arrays: Arrays) -> Arrays:
        answers = function(**{name: tf.constant(arrays[name], spec.dtype) for name, spec in specs.items()})
        return {name: value.numpy() for name, value in answers.items()}

    outputs = dict(zip(sorted(function.structured_outputs), function.outputs, strict=True))
    return _lifted(function, specs, outputs, reference, f"{file.path.name} (SavedModel of Keras 2)", ())


def _lifted(
    function: Any,
    specs: dict[str, tf.TensorSpec],
    outputs: dict[str, Any],
    reference: Callable[[Arrays], Arrays],
    description: str,
    notes: tuple[str, ...],
) -> SourceGraph:
    lifted = lift(function)
    return SourceGraph(
        session=lifted.session,
        body=lifted.body,
        inputs={
            name: GraphInput(tensor.name, spec.dtype, spec.shape)
            for (name, spec), tensor in zip(specs.items(), function.inputs, strict=False)
        },
        outputs=outputs,
        state=lifted.state,
        reference=reference,
        description=description,
        notes=notes,
    )
