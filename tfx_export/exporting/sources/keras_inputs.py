"""The inputs of a Keras model as flat, named tensors, and a call of the model on these.

Clients send a sparse input `x` as `x_indices`, `x_values`, `x_shape`, and a ragged one as `x_values`, `x_row_splits`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfx_export.errors import SourceError
from tfx_export.exporting.sources.flat_names import Nest


@dataclass(frozen=True)
class ModelInputs:
    """The specs of the flat inputs by name. `call` applies the model, as `model(x)` does, to one tensor per spec."""

    specs: dict[str, tf.TensorSpec]
    call: Callable[[Sequence[tf.Tensor]], Nest]


@dataclass(frozen=True)
class _Input:
    """One input of the model: the specs of its flat tensors, and a function that builds the input from them."""

    specs: dict[str, tf.TensorSpec]
    build: Callable[..., tf.Tensor | tf.SparseTensor | tf.RaggedTensor]


def model_inputs(model: "tf.keras.Model", *, free_batch: bool = True) -> ModelInputs:
    """Returns the inputs of a Keras 3 or tf_keras model. Raises SourceError if the model does not describe them.

    With `free_batch` the first dimension has any size, else the size that the model says.
    """
    structure = _structure(model)
    if structure is None:
        arguments, structure = _arguments(model)
    else:
        arguments = None
    tensors = tf.nest.flatten(structure)
    leaves = [
        _flat_input(name, tensor, free_batch)
        for name, tensor in zip(unique_names(structure, tensors), tensors, strict=True)
    ]
    specs = {name: spec for leaf in leaves for name, spec in leaf.specs.items()}
    mode = _mode(model)

    def call(flat_tensors: Sequence[tf.Tensor]) -> Nest:
        rest = iter(flat_tensors)
        built = [leaf.build(*(next(rest) for _ in leaf.specs)) for leaf in leaves]
        packed = tf.nest.pack_sequence_as(structure, built)
        return model(**mode, **packed) if arguments else model(packed, **mode)

    return ModelInputs(specs, call)


def _mode(model: "tf.keras.Model") -> dict[str, bool]:
    """Returns the keyword arguments of a call that serves the model: none, or `training=False`.

    In Keras 3, `training=False` also overrides layers that the model calls with `training=True`, such as the Dropout of
    a Monte Carlo model. Without it they keep their mode, and other layers are in inference mode. It is needed if
    `call` requires the argument, and for layers such as RandomFlip, which augment images in `model(x)`, although Keras
    documents them as inactive in inference.
    """
    required = _default_mode(model) is inspect.Parameter.empty
    layers = list(model._flatten_layers())
    others = [layer for layer in layers if not _augments(layer)]
    inactive = len(others) < len(layers) and not any(map(_is_called_in_training_mode, others))
    return {"training": False} if required or inactive else {}


def _augments(layer: "tf.keras.layers.Layer") -> bool:
    """Returns whether `layer` is a layer of Keras itself that augments its input unless told otherwise."""
    return type(layer).__module__.partition(".")[0] in ("keras", "tf_keras") and _default_mode(layer) is True


def _default_mode(layer: "tf.keras.layers.Layer") -> object:
    """Returns the default of the argument `training` of a layer's `call`, or None if it has no such argument."""
    try:
        training = inspect.signature(layer.call).parameters.get("training")
    except (TypeError, ValueError):  # a callable that does not tell its arguments
        return None
    return training.default if training else None


def _is_called_in_training_mode(layer: "tf.keras.layers.Layer") -> bool:
    # tf_keras needs no answer: there such a layer is in training mode even if the model is called with training=False.
    arguments = [getattr(node, "arguments", None) for node in layer._inbound_nodes]
    return any(one.kwargs.get("training") for one in arguments if one is not None)


def unique_names(structure: Nest, tensors: Sequence[tf.Tensor]) -> list[str]:
    """Returns a unique name for each tensor: its key in a dict, else the name of the layer that it comes from."""
    if isinstance(structure, Mapping) and len(structure) == len(tensors):
        wanted = [str(key) for key in sorted(structure)]
    else:
        wanted = [_layer_name(tensor) or "output" for tensor in tensors]
    found: list[str] = []
    for name in wanted:
        count = wanted[: len(found)].count(name)
        found.append(f"{name}_{count}" if count else name)
    return found


def _structure(model: "tf.keras.Model") -> Nest:
    structure = getattr(model, "_inputs_struct", None)  # Keras 3, functional
    if structure is None:
        structure = getattr(model, "_nested_inputs", None)  # tf_keras
    if structure is None and type(model).__name__ == "Sequential":
        structure = getattr(model, "inputs", None)
    if isinstance(structure, list | tuple) and len(structure) == 1:
        return structure[0]
    return None if isinstance(structure, list | tuple | dict) and not structure else structure


def _arguments(model: "tf.keras.Model") -> tuple[list[str], dict[str, Nest]]:
    """Returns the arguments of `call` of a subclassed model, with the shapes with which it was built or called."""
    shapes = getattr(model, "_build_shapes_dict", None)  # Keras 3
    dtype = getattr(model, "input_dtype", None) or "float32"
    arguments = [name for name in inspect.signature(model.call).parameters if name not in ("self", "training", "mask")]
    if shapes:
        specs = [_specs(name, shape, dtype) for name, shape in zip(arguments, shapes.values(), strict=False)]
    else:
        saved = getattr(model, "save_spec", lambda: None)()  # tf_keras
        if not saved or saved[1] or not all(isinstance(spec, tf.TensorSpec) for spec in saved[0]):
            raise SourceError(
                f"The model {model.name!r} does not describe its inputs: it was never built or called on tensors.",
                hint="Call it once on real data (or give the first layer an input shape), and save it again.",
            )
        specs = list(saved[0])
    return arguments, dict(zip(arguments, specs, strict=False))


def _specs(name: str, shape: Nest, dtype: str) -> Nest:
    """Returns the specs of an argument with a shape or nest of shapes, named by the argument and keys or indices."""
    if _is_shape(shape):
        return tf.TensorSpec(list(shape), dtype, name)
    if isinstance(shape, Mapping):
        return {key: _specs(str(key), item, dtype) for key, item in shape.items()}
    return [_specs(f"{name}_{place}", item, dtype) for place, item in enumerate(shape)]


def _is_shape(value: object) -> bool:
    return isinstance(value, list | tuple) and all(size is None or isinstance(size, int) for size in value)


def _flat_input(name: str, tensor: tf.Tensor, free_batch: bool) -> _Input:
    shape = list(tensor.shape)
    if free_batch:
        shape[0] = None
    spec = getattr(tensor, "type_spec", None)
    if getattr(tensor, "sparse", False) or isinstance(spec, tf.SparseTensorSpec):
        return _sparse(name, shape, tensor.dtype)
    if getattr(tensor, "ragged", False) or isinstance(spec, tf.RaggedTensorSpec):
        rank = getattr(spec, "ragged_rank", None) or getattr(tensor, "ragged_rank", None) or 1
        if rank > 1:
            raise SourceError(f"The input {name!r} is ragged in {rank} dimensions; only one can be served.")
        return _ragged(name, shape, tensor.dtype)
    return _Input({name: tf.TensorSpec(shape, tensor.dtype)}, lambda tensor: tensor)


def _sparse(name: str, shape: list[int | None], dtype: tf.DType) -> _Input:
    def build(indices: tf.Tensor, values: tf.Tensor, dense_shape: tf.Tensor) -> tf.SparseTensor:
        # Sizes that the model knows become constants, so that its layers know them too.
        sizes = [dense_shape[place] if size is None else size for place, size in enumerate(shape)]
        return tf.SparseTensor(indices, values, tf.stack([tf.cast(size, tf.int64) for size in sizes]))

    specs = {
        f"{name}_indices": tf.TensorSpec([None, len(shape)], tf.int64),
        f"{name}_values": tf.TensorSpec([None], dtype),
        f"{name}_shape": tf.TensorSpec([len(shape)], tf.int64),
    }
    return _Input(specs, build)


def _ragged(name: str, shape: list[int | None], dtype: tf.DType) -> _Input:
    specs = {
        f"{name}_values": tf.TensorSpec([None, *shape[2:]], dtype),
        f"{name}_row_splits": tf.TensorSpec([None], tf.int64),
    }
    return _Input(specs, tf.RaggedTensor.from_row_splits)


def _layer_name(tensor: tf.Tensor) -> str | None:
    if isinstance(tensor, tf.TensorSpec):
        return tensor.name  # type: ignore[no-any-return]
    history = getattr(tensor, "_keras_history", None)
    layer = getattr(history, "operation", None) or getattr(history, "layer", None)
    return layer.name if layer is not None else None
