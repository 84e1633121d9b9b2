"""Requests for a signature: of the declared shapes, empty, large, and of other ranks."""

from collections.abc import Callable, Iterator
from math import prod
from random import Random

import numpy as np

from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import Shape, Signature, TensorSpec

# The elements that one input has at most.
MAX_ELEMENTS = 1 << 18
# Dimensions that are declared larger, or as negative, are sent as 2.
MAX_SIZE = 1024
RANDOM = 4


def requests(signature: Signature, chance: Random) -> Iterator[dict[str, np.ndarray]]:
    """Yields the inputs of ten requests. The server may refuse them."""

    def random_shape(_: Shape | None) -> tuple[int, ...]:
        return tuple(chance.choice((0, 1, 1, 2, 3, 4)) for _ in range(chance.randint(0, 6)))

    shapes: list[Callable[[Shape | None], tuple[int, ...]]] = [
        lambda shape: _sized(shape, 2),
        lambda shape: _sized(shape, 0),
        lambda shape: _sized(shape, 300),
        lambda shape: (*_sized(shape, 2), 1),
        lambda shape: _sized(shape, 2)[1:],
        lambda shape: (),
        *[random_shape] * RANDOM,
    ]
    for shape_of in shapes:
        yield {alias: _array(spec, shape_of(spec.shape), chance) for alias, spec in signature.inputs.items()}


def _sized(shape: Shape | None, unknown: int) -> tuple[int, ...]:
    declared = (None,) if shape is None else shape
    sizes = tuple(unknown if size is None else size if size <= MAX_SIZE else 2 for size in declared)
    return sizes if prod(sizes) <= MAX_ELEMENTS else (1,) * len(sizes)


def _array(spec: TensorSpec, shape: tuple[int, ...], chance: Random) -> np.ndarray:
    try:
        dtype = numpy_dtype(spec.dtype)
    except KeyError:  # a resource, a variant or nothing
        dtype = np.dtype(np.float32)
    if dtype.kind == "O":
        return np.full(shape, chance.choice((b"", b"a", b"apple", b"a b")), object)
    generator = np.random.default_rng(chance.getrandbits(32))
    return np.asarray(generator.integers(0, 4, shape)).astype(dtype)
