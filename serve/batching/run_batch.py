"""Runs one batch: merges the requests, runs the model once, and gives each request its rows."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from serve.batching.parameters import BatchingParameters
from serve.batching.tensors import Tensors, check_rows, merge, split
from serve.errors import ServeError
from serve.loaded_model import LoadedModel

# The result of a request in a batch: its outputs or an error.
Outcome: TypeAlias = dict[str, np.ndarray] | Exception


def run_batch(
    model: LoadedModel,
    signature: str,
    requests: Sequence[Tensors],
    sizes: Sequence[int],
    outputs: Sequence[str],
    parameters: BatchingParameters,
) -> list[Outcome]:
    """Runs `requests`, which have `sizes` rows, as one batch. Blocking.

    If the model refuses the inputs, each request is run on its own, so that only the request that caused the error gets
    it. Raises ServeError if an output has no batch dimension, which is a fault of the model.
    """
    rows = sum(sizes)
    padded = parameters.padded_size(rows)
    inputs = merge(requests, padded)
    try:
        merged = model.run(signature, inputs, outputs)
    except ServeError as error:
        if len(requests) == 1:
            return [error]
        return [
            outcome
            for request, size in zip(requests, sizes, strict=True)
            for outcome in run_batch(model, signature, [request], [size], outputs, parameters)
        ]
    check_rows(merged, padded)
    return list(split(merged, sizes))
