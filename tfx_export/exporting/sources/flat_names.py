"""Names the flat tensors of a nested structure, as clients send and receive them."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import tensorflow as tf

# A tensor or its spec, or a nest of these, as `tf.nest` takes them.
Nest: TypeAlias = "tf.Tensor | tf.TypeSpec | Mapping[str, Nest] | list[Nest] | tuple[Nest, ...]"

_SPARSE = (tf.SparseTensor, tf.SparseTensorSpec)
_RAGGED = (tf.RaggedTensor, tf.RaggedTensorSpec)


def flat_names(structure: Nest, name: str = "") -> list[str]:
    """Returns a name for each tensor of `structure`, in TensorFlow's order: `name` and the keys and indices to it.

    Without `name`, the values of a dict at the top have their keys as names, and those of a list are `output`,
    `output_1` and so on.
    """
    return list(_walk(structure, name))


def composite_names(name: str, tensor: tf.Tensor | tf.TypeSpec) -> list[str]:
    """Returns the names of the parts of a tensor or spec; for a sparse `x`: `x_indices`, `x_values`, `x_shape`."""
    if isinstance(tensor, _SPARSE):
        return [f"{name}_indices", f"{name}_values", f"{name}_shape"]
    if isinstance(tensor, _RAGGED):
        splits = len(tf.nest.flatten(tensor, expand_composites=True)) - 1
        if splits == 1:
            return [f"{name}_values", f"{name}_row_splits"]
        return [f"{name}_values", *(f"{name}_row_splits_{place}" for place in range(splits))]
    return [name]


def _walk(value: Nest, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _walk(value[key], f"{path}_{key}" if path else str(key))
    elif fields := getattr(value, "_fields", None):
        for key, item in zip(fields, value, strict=True):
            yield from _walk(item, f"{path}_{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _walk(item, f"{path}_{place}" if path else f"output_{place}" if place else "output")
    elif value is not None:  # a function may return None in place of a tensor
        yield from composite_names(path or "output", value)
