"""The run of one batch: merge, call the model once, give each request its rows."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from serve.batching.parameters import BatchingParameters
from serve.batching.tensors import Tensors, check_rows, merge, split
from serve.errors import ServeError
from serve.loaded_model import LoadedModel

# What a request gets out of a batch.
Outcome: TypeAlias = dict[str, np.ndarray] | Exception


def run_batch(
    model: LoadedModel,
    signature: str,
    requests: Sequence[Tensors],
    sizes: Sequence[int],
    outputs: Sequence[str],
    parameters: BatchingParameters,
) -> list[Outcome]:
    """Run `requests`, which have `sizes` rows, as one. Blocking.

    Inputs that the model refuses spoil the whole batch: each request is then run by itself, so that the error
    reaches only the one that caused it. Raises ServeError if the fault is not in the inputs but in the model: an
    output without a batch dimension.
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
