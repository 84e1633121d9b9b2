"""Generates consistent values for sparse and ragged inputs, which a client sends as several tensors.

They are recognised by their names: `x_indices`, `x_values` and `x_shape` are a sparse `x`, `x_values` and
`x_row_splits` a ragged one.
"""

from dataclasses import dataclass, field

import numpy as np

from tfx_export.exporting.verification.isolated_run import Arrays
from tfx_export.savedmodel.signature import Shape, Signature, TensorSpec

_MAX_VALUES_PER_ROW = 3


@dataclass(frozen=True)
class CompositeStructure:
    """`arrays` holds the indices, splits and shapes, by alias; `shapes` the resulting shapes of the values tensors."""

    arrays: Arrays = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)


def generate_structure(signature: Signature, rows: int, length: int, rng: np.random.Generator) -> CompositeStructure:
    """Returns the structure for the sparse and ragged inputs: `rows` rows, free dimensions of size `length`."""
    inputs = signature.inputs
    arrays: dict[str, np.ndarray] = {}
    shapes: dict[str, Shape] = {}
    for alias, spec in inputs.items():
        name = alias.removesuffix("_row_splits").removesuffix("_indices")
        values = inputs.get(f"{name}_values")
        if not _is_integer(spec) or values is None or not values.shape or values.shape[0] is not None:
            continue
        counts = rng.integers(1, 1 + min(_MAX_VALUES_PER_ROW, length), rows)
        if alias == f"{name}_row_splits" and _rank(spec) == 1:
            arrays[alias] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        elif alias == f"{name}_indices" and _rank(spec) == 2 and f"{name}_shape" in inputs:
            rank = (spec.shape or ())[1] or 2
            places = [
                [row, *[0] * (rank - 2), column][:rank]
                for row, count in enumerate(counts if rank > 1 else [1] * rows)
                for column in sorted(rng.choice(length, count, replace=False))
            ]
            arrays[alias] = np.array(places, np.int64)
            arrays[f"{name}_shape"] = np.array(([rows] + [length] * (rank - 1))[:rank], np.int64)
        else:
            continue
        total = len(arrays[alias]) if alias.endswith("_indices") else int(arrays[alias][-1])
        shapes[f"{name}_values"] = (total, *values.shape[1:])
    return CompositeStructure(arrays, shapes)


def _is_integer(spec: TensorSpec) -> bool:
    return spec.dtype in ("DT_INT32", "DT_INT64")


def _rank(spec: TensorSpec) -> int | None:
    return None if spec.shape is None else len(spec.shape)
