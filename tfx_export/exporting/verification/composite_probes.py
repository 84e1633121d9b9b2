"""Sparse and ragged inputs, which a client sends as several tensors: values for all of them that fit together.

They are known by their names: `x_indices`, `x_values`, `x_shape` is a sparse `x`; `x_values`, `x_row_splits` a ragged.
"""

from dataclasses import dataclass, field

import numpy as np

from tfx_export.exporting.verification.isolated_run import Arrays
from tfx_export.savedmodel.signature import Shape, Signature, TensorSpec

_MOST = 3  # values a row


@dataclass(frozen=True)
class Composites:
    """`arrays` are the tensors that hold structure, by alias; `shapes` the shapes that leaves for the values."""

    arrays: Arrays = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)


def composites(signature: Signature, rows: int, length: int, rng: np.random.Generator) -> Composites:
    """Structure for the sparse and ragged inputs of `signature`: `rows` rows, open dimensions of size `length`."""
    inputs = signature.inputs
    arrays: dict[str, np.ndarray] = {}
    shapes: dict[str, Shape] = {}
    for alias, spec in inputs.items():
        name = alias.removesuffix("_row_splits").removesuffix("_indices")
        values = inputs.get(f"{name}_values")
        if not _is_integer(spec) or values is None or not values.shape or values.shape[0] is not None:
            continue
        counts = rng.integers(1, 1 + min(_MOST, length), rows)
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
    return Composites(arrays, shapes)


def _is_integer(spec: TensorSpec) -> bool:
    return spec.dtype in ("DT_INT32", "DT_INT64")


def _rank(spec: TensorSpec) -> int | None:
    return None if spec.shape is None else len(spec.shape)
