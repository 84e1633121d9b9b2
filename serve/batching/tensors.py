"""Merges the rows of several requests into one tensor for each input, and splits the outputs again."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from serve.errors import Code, ServeError

Tensors: TypeAlias = Mapping[str, np.ndarray]

# TensorFlow does not pad tensors of a higher rank.
MAX_PADDED_RANK = 6


def row_count(inputs: Tensors) -> int:
    """Returns the size of the first dimension, which all `inputs` share. Raises INVALID_ARGUMENT if they do not."""
    sizes = {tensor.shape[:1] for tensor in inputs.values()}
    if len(sizes) == 1 and (size := sizes.pop()):
        return int(size[0])
    raise ServeError(Code.INVALID_ARGUMENT, f"Batching Run() {_row_count_error(inputs)}")


def _row_count_error(inputs: Tensors) -> str:
    if not inputs:
        return "must have at least one input tensor"
    for name, tensor in inputs.items():
        if tensor.ndim == 0:
            return f"input tensors must have at least one dimension. Input {name} is a scalar."
    found = ", ".join(f"{name}: {len(tensor)}" for name, tensor in inputs.items())
    return f"input tensors must have equal 0th-dimension size. Sizes: {found}"


def merge_key(inputs: Tensors, pad: bool) -> tuple[object, ...]:
    """Returns a key that is equal for inputs that `merge` can merge.

    Raises INVALID_ARGUMENT for inputs that cannot be padded although `pad` is set.
    """
    if not pad:
        return tuple([(name, tensor.dtype, tensor.shape[1:]) for name, tensor in inputs.items()])
    if any(tensor.ndim > MAX_PADDED_RANK for tensor in inputs.values()):
        raise ServeError(Code.INVALID_ARGUMENT, "Only tensors with rank from 1 to 6 can be padded.")
    # A tensor without elements has no element to pad with, so it is merged only with tensors of the same shape.
    return tuple(
        [(name, tensor.dtype, tensor.ndim if tensor.size else tensor.shape[1:]) for name, tensor in inputs.items()]
    )


def merge(requests: Sequence[Tensors], rows: int) -> dict[str, np.ndarray]:
    """Returns the rows of all `requests` in order, in tensors with `rows` rows.

    Additional rows repeat a row of the last request. Where shapes differ, each request is padded with its first
    element.
    """
    return {name: _merge([request[name] for request in requests], rows) for name in requests[0]}


def _merge(tensors: list[np.ndarray], rows: int) -> np.ndarray:
    padding = rows - sum(len(tensor) for tensor in tensors)
    if any(tensor.shape[1:] != tensors[0].shape[1:] for tensor in tensors):
        shape = tuple(map(max, *(tensor.shape[1:] for tensor in tensors)))
        tensors = [_pad(tensor, shape) for tensor in tensors]
    if padding:
        tensors = [*tensors, np.broadcast_to(tensors[-1][:1], (padding, *tensors[-1].shape[1:]))]
    return tensors[0] if len(tensors) == 1 else np.concatenate(tensors)


def _pad(tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if tensor.shape[1:] == shape:
        return tensor
    padded = np.empty((len(tensor), *shape), tensor.dtype)
    padded[...] = tensor.flat[0]
    padded[tuple(slice(size) for size in tensor.shape)] = tensor
    return padded


def check_rows(outputs: Tensors, rows: int) -> None:
    """Raises FAILED_PRECONDITION unless each of `outputs` has `rows` rows."""
    for name, tensor in outputs.items():
        if tensor.ndim == 0:
            raise ServeError(
                Code.FAILED_PRECONDITION, f"Batched output tensor has 0 dimensions. Output {name} is a scalar."
            )
        if tensor.shape[0] != rows:
            raise ServeError(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                f"tensors. Output {name} has {tensor.shape[0]} rows for {rows}.",
            )


def split(outputs: Tensors, sizes: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """Returns the rows of `outputs` for each request. `sizes`: their numbers of rows. The other rows are padding."""
    requests = []
    begin = 0
    for size in sizes:
        requests.append({name: tensor[begin : begin + size] for name, tensor in outputs.items()})
        begin += size
    return requests
