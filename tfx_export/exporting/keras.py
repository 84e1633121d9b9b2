"""Keras models as a source: Keras 3 itself, and tf_keras for what Keras 1 and 2 wrote."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.functions import lift
from tfx_export.exporting.graph import Arrays, GraphInput, SourceGraph
from tfx_export.exporting.keras_file import KerasFile


def open_file(file: KerasFile) -> SourceGraph:
    """Load the model in `file` with the Keras that wrote it. Raises SourceError if that fails."""
    return open_model(load(file), description=f"{file.path.name} (Keras {file.keras_version or '1'})")


def load(file: KerasFile) -> Any:
    """The model in `file`, not compiled."""
    library = _keras3() if file.generation == 3 else _keras2()
    try:
        return library.models.load_model(file.path, compile=False)
    except Exception as error:
        # Whatever a layer's constructor may raise: the file is the reason, and the user cannot use our stack.
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise SourceError(f"{library.__name__} cannot load {file.path}: {first}", hint=_loading_hint(error)) from error


def open_model(model: Any, *, description: str = "") -> SourceGraph:
    """A Keras or tf_keras model as a SourceGraph: inference mode, batch dimension free."""
    inputs, pack = _inputs(model)
    output_names: list[str] = []

    def call(*tensors: Any) -> list[Any]:
        names, flat = _outputs(model, model(pack(tensors), training=False))
        output_names[:] = names
        return flat

    specs = [tf.TensorSpec(spec.shape, spec.dtype) for spec in inputs.values()]
    # autograph off: Keras converts what it must by itself.
    function = tf.function(call, autograph=False).get_concrete_function(*specs)
    lifted = lift(function, holders=[model])

    def reference(arrays: Arrays) -> Arrays:
        tensors = [tf.constant(arrays[name], spec.dtype) for name, spec in inputs.items()]
        return {name: value.numpy() for name, value in zip(output_names, call(*tensors), strict=True)}

    return SourceGraph(
        session=lifted.session,
        body=lifted.body,
        inputs={
            name: GraphInput(tensor.name, spec.dtype, spec.shape)
            for (name, spec), tensor in zip(inputs.items(), function.inputs, strict=False)
        },
        outputs=dict(zip(output_names, (tensor.name for tensor in function.outputs), strict=True)),
        state=lifted.state,
        reference=reference,
        description=description or f"Keras model {model.name}",
    )


def _inputs(model: Any) -> tuple[dict[str, tf.TensorSpec], Callable[[Any], Any]]:
    """The model's inputs by name, and how to pack a tensor for each into what the model is called with."""
    structure = _input_structure(model)
    flat = tf.nest.flatten(structure)
    names = _names(structure, flat)
    specs = {
        name: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for name, tensor in zip(names, flat, strict=True)
    }
    return specs, lambda tensors: tf.nest.pack_sequence_as(structure, list(tensors))


def _input_structure(model: Any) -> Any:
    structure = getattr(model, "_inputs_struct", None)  # Keras 3, functional
    if structure is None:
        structure = getattr(model, "_nested_inputs", None)  # tf_keras
    if structure is None:
        structure = getattr(model, "inputs", None)  # Keras 3, sequential
    if structure is None or (isinstance(structure, list | tuple | dict) and not structure):
        raise SourceError(
            f"The model {model.name!r} does not say what its inputs are: it was never built or called.",
            hint="Call it once on real data (or give the first layer an input shape), and save it again.",
        )
    if isinstance(structure, list | tuple) and len(structure) == 1:
        return structure[0]
    return structure


def _outputs(model: Any, result: Any) -> tuple[list[str], list[Any]]:
    """Names and tensors of what a call of `model` returned."""
    flat = tf.nest.flatten(result)
    symbolic = getattr(model, "outputs", None)
    return _names(result, symbolic if symbolic and len(symbolic) == len(flat) else flat), flat


def _names(structure: Any, tensors: list[Any]) -> list[str]:
    """A name for each tensor: its key where the structure is a dict, else the layer it comes from; each name once."""
    if isinstance(structure, Mapping) and len(structure) == len(tensors):
        wanted = [str(key) for key in sorted(structure)]
    else:
        wanted = [_layer_name(tensor) or "output" for tensor in tensors]
    names: list[str] = []
    for name in wanted:
        count = sum(other == name for other in wanted[: len(names)])
        names.append(f"{name}_{count}" if count else name)
    return names


def _layer_name(tensor: Any) -> str | None:
    history = getattr(tensor, "_keras_history", None)
    layer = getattr(history, "operation", None) or getattr(history, "layer", None)
    return layer.name if layer is not None else None


def _keras3() -> ModuleType:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise SourceError(
            f"Keras runs on {keras.backend.backend()} here, and an export needs it on TensorFlow.",
            hint="Set KERAS_BACKEND=tensorflow before Keras is imported.",
        )
    return keras  # type: ignore[no-any-return]


def _keras2() -> ModuleType:
    try:
        import tf_keras
    except ImportError:
        raise SourceError(
            "The file was written by Keras 2, which tf_keras reads, and that is not installed.",
            hint="Install it: pip install 'tfx-export[keras2]'",
        ) from None
    return tf_keras  # type: ignore[no-any-return]


def _loading_hint(error: Exception) -> str:
    return "Does the file load with load_model of the same Keras?"
