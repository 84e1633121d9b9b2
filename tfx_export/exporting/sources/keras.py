"""Opens Keras models as a source: with Keras 3, or with tf_keras if Keras 1 or 2 wrote the file."""

import sys
from collections.abc import Callable, Iterable, Mapping

import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.source_graph import Arrays, GraphInput, SourceGraph
from tfx_export.exporting.sources.keras_file import KerasFile
from tfx_export.exporting.sources.keras_inputs import ModelInputs, model_inputs, unique_names
from tfx_export.exporting.sources.keras_load import keras_reason, load, require_tensorflow_backend
from tfx_export.exporting.sources.lift_function import lift


def open_file(file: KerasFile) -> SourceGraph:
    """Loads the model in `file` with the Keras that wrote it. Raises SourceError if that fails."""
    if file.container == "savedmodel":
        return _open_saved_model(file)
    return open_model(load(file), description=f"{file.path.name} (Keras {file.keras_version or '1'})")


def open_model(model: "tf.keras.Model", *, description: str = "") -> SourceGraph:
    """Opens a Keras or tf_keras model as `model(x)` computes it, with a free batch dimension if the model allows it.

    Raises SourceError if the model cannot be called on its inputs.
    """
    description = description or f"Keras model {model.name}"
    if type(model).__module__.partition(".")[0] != "tf_keras" and "keras" in sys.modules:
        require_tensorflow_backend(sys.modules["keras"])
    # Layers may be the user's code, which may raise anything.
    try:
        call = _ModelFunction(model, model_inputs(model))
        function = call.trace()
        if _sizes(function.outputs) & _sizes(model_inputs(model, free_batch=False).specs.values()):
            raise ValueError("its outputs have a fixed batch size")
        return _source(call, function, description, ())
    except SourceError:
        raise
    except Exception as refusal:
        # Some layers are written for one batch size.
        try:
            call = _ModelFunction(model, model_inputs(model, free_batch=False))
            note = "The model takes one batch size only, the first size in the shapes above."
            return _source(call, call.trace(), description, (note,))
        except Exception:
            raise SourceError(f"{description} cannot be called on its inputs: {keras_reason(refusal)}") from refusal


def _sizes(tensors: Iterable[tf.Tensor | tf.TensorSpec]) -> set[int]:
    """Returns the fixed batch sizes of tensors or specs."""
    return {tensor.shape[0] for tensor in tensors if tensor.shape.rank} - {None}


class _ModelFunction:
    """A model as a function of flat tensors, with names for its outputs."""

    def __init__(self, model: "tf.keras.Model", inputs: ModelInputs) -> None:
        self.inputs = inputs
        self.outputs: list[str] = []
        self._model = model

    def __call__(self, *tensors: tf.Tensor) -> list[tf.Tensor]:
        result = self.inputs.call(tensors)
        if isinstance(result, Mapping):
            result = {key: value for key, value in result.items() if value is not None}
        flat: list[tf.Tensor] = [one for one in tf.nest.flatten(result, expand_composites=True) if one is not None]
        symbolic = getattr(self._model, "outputs", None)
        self.outputs = unique_names(result, symbolic if symbolic and len(symbolic) == len(flat) else flat)
        return flat

    def trace(self) -> "tf.types.experimental.ConcreteFunction":
        # Without autograph, because Keras applies it itself where needed.
        function = tf.function(lambda *tensors: self(*tensors), autograph=False)
        return function.get_concrete_function(*self.inputs.specs.values())


def _source(
    call: _ModelFunction, function: "tf.types.experimental.ConcreteFunction", description: str, notes: tuple[str, ...]
) -> SourceGraph:
    def reference(arrays: Arrays) -> Arrays:
        tensors = [tf.constant(arrays[name], spec.dtype) for name, spec in call.inputs.specs.items()]
        return {name: value.numpy() for name, value in zip(call.outputs, call(*tensors), strict=True)}

    outputs = dict(zip(call.outputs, function.outputs, strict=True))
    return _lifted(function, call.inputs.specs, outputs, reference, description, notes)


def _open_saved_model(file: KerasFile) -> SourceGraph:
    """Opens the signature that Keras 2 wrote into a SavedModel. It needs no code of the layers, and has their names."""
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
        results = function(**{name: tf.constant(arrays[name], spec.dtype) for name, spec in specs.items()})
        return {name: value.numpy() for name, value in results.items()}

    outputs = dict(zip(sorted(function.structured_outputs), function.outputs, strict=True))
    return _lifted(function, specs, outputs, reference, f"{file.path.name} (SavedModel of Keras 2)", ())


def _lifted(
    function: "tf.types.experimental.ConcreteFunction",
    specs: dict[str, tf.TensorSpec],
    outputs: dict[str, tf.Tensor],
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
        reference=lifted.keep_state(reference),
        description=description,
        notes=notes,
    )
