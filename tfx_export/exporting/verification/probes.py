"""Inputs for a signature: generated from its dtypes, its shapes and the ops that read them, or from a file."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import tensorflow as tf

from tfx_export import wire
from tfx_export.errors import SpecError
from tfx_export.exporting.verification.composite_probes import generate_structure
from tfx_export.exporting.verification.isolated_run import Arrays
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import Shape, Signature
from tfx_export.savedmodel.string_inputs import Feature, StringInput, StringInputs

# Rows in the first request of a generated probe.
ROWS = 4


@dataclass(frozen=True)
class Probe:
    """Inputs for one signature: `requests[i]` holds arrays by alias with `rows[i]` rows.

    `origin` is the name of the file, or `generated`.
    """

    origin: str
    requests: tuple[Arrays, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class _Style:
    """A guess at the values that a model takes.

    `floats`: their distribution. `bound`: integers are below it (None: keys of the model's lookup tables). `side` and
    `length`: the sizes of free dimensions in images and in other inputs. `rank`: used where the rank is unknown.
    """

    floats: str
    bound: int | None
    side: int
    length: int
    rank: int


# Large images first: a network that halves them too often divides by zero, which ends the process.
_STYLES = (
    _Style(floats="normal", bound=10, side=256, length=64, rank=2),
    _Style(floats="unit", bound=None, side=256, length=8, rank=1),
    _Style(floats="pixels", bound=100, side=224, length=16, rank=4),
    _Style(floats="normal", bound=1000, side=512, length=128, rank=3),
    _Style(floats="pixels", bound=2, side=96, length=3, rank=1),
)


def generate(signature: Signature, string_inputs: StringInputs, rows: int = ROWS) -> Iterator[Probe]:
    """Yields probes for `signature`, the likeliest first. The caller takes the first whose rows have different outputs.

    With a free batch dimension, the first request has `rows` rows and the second one row. Further probes have one row
    per request, for models that take one batch size only.
    """
    strings = {
        alias: string_inputs.of(spec.tensor) for alias, spec in signature.inputs.items() if spec.dtype == "DT_STRING"
    }
    keys = (
        string_inputs.table_keys()
        if any(spec.dtype in ("DT_INT32", "DT_INT64") for spec in signature.inputs.values())
        else ()
    )
    free = any(spec.shape is None or spec.shape[:1] == (None,) for spec in signature.inputs.values())

    def request(start: int, count: int, style: _Style, rng: np.random.Generator) -> Arrays:
        structure = generate_structure(signature, count, style.length, rng)
        return {
            alias: structure.arrays[alias].astype(numpy_dtype(spec.dtype))
            if alias in structure.arrays
            else _input(
                spec.dtype, structure.shapes.get(alias, spec.shape), count, start, style, rng, strings.get(alias), keys
            )
            for alias, spec in signature.inputs.items()
        }

    for counts in ([(rows, 1)] if free else []) + [(1,) * rows]:
        for style in _STYLES:
            rng = np.random.default_rng(0)
            requests = tuple(request(start, count, style, rng) for start, count in enumerate(counts))
            yield Probe("generated", requests, counts)


def from_file(path: Path, signatures: Mapping[str, Signature], limit: int = 32) -> dict[str, Probe]:
    """Reads probes by signature from an .npz file; its arrays are named `input`, or `signature/input` if they differ.

    At most `limit` rows are used. Signatures for which the file lacks inputs are left out.
    Raises SpecError if the file cannot be read or holds an array that is not an input of any signature.
    """
    arrays = read_npz(path)
    known = {alias for signature in signatures.values() for alias in signature.inputs}
    known |= {f"{name}/{alias}" for name, signature in signatures.items() for alias in signature.inputs}
    if unknown := sorted(set(arrays) - known):
        raise SpecError(
            f"{path} holds an array {unknown[0]!r}, which is not an input of any signature.",
            hint=f"Name the arrays after inputs: {', '.join(sorted(known))}",
        )
    found = {}
    for name, signature in signatures.items():
        chosen = {alias: arrays.get(f"{name}/{alias}", arrays.get(alias)) for alias in signature.inputs}
        inputs = {
            alias: _cast(array, name, alias, signature.inputs[alias].dtype)
            for alias, array in chosen.items()
            if array is not None
        }
        if inputs and len(inputs) == len(chosen):
            found[name] = _one_request(path.name, {alias: _head(array, limit) for alias, array in inputs.items()})
    return found


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz file, without pickled objects. Raises SpecError if it cannot be read."""
    try:
        # Opened here, because numpy would leave a damaged file open.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise SpecError(
                    f"{path} holds one array without a name.", hint="Write it with numpy.savez(path, x=array)."
                )
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise SpecError(f"There is no file {path}.") from None
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error):
        raise SpecError(
            f"{path} is not an .npz file of plain arrays.",
            hint="Write one with numpy.savez(path, x=array). Pickles are not read, because that would run code.",
        ) from None


def _one_request(origin: str, inputs: Arrays) -> Probe:
    lengths = {len(array) if array.ndim else 0 for array in inputs.values()}
    return Probe(origin, (inputs,), (max(lengths),))


def _head(array: np.ndarray, limit: int) -> np.ndarray:
    return array[:limit] if array.ndim else array


def _cast(array: np.ndarray, signature: str, alias: str, dtype: str) -> np.ndarray:
    wanted = numpy_dtype(dtype)
    if dtype == "DT_STRING" and array.dtype.kind in "SUO":
        text = [item.encode() if isinstance(item, str) else item for item in array.ravel().tolist()]
        return np.array(text, dtype=object).reshape(array.shape)
    if array.dtype.kind in "OSU" or not np.can_cast(array.dtype, wanted, "same_kind"):
        raise SpecError(f"Input {alias!r} of signature {signature!r} is {dtype}, but the given array is {array.dtype}.")
    return array.astype(wanted)


def _input(
    dtype: str,
    shape: Shape | None,
    rows: int,
    start: int,
    style: _Style,
    rng: np.random.Generator,
    use: StringInput | None,
    keys: Sequence[int],
) -> np.ndarray:
    if shape is None:
        shape = (None, None, None, 3) if style.rank == 4 else (None,) * style.rank
    length = style.side if len(shape) == 4 else style.length
    dims = [length if size is None else size for size in shape]
    if shape[:1] == (None,):
        dims[0] = rows
    if use is None:
        if keys and style.bound is None and numpy_dtype(dtype).kind == "i":
            return rng.choice(keys, dims).astype(numpy_dtype(dtype))
        return _numbers(dtype, dims, start, style, rng)
    count = int(np.prod(dims, dtype=int))
    if use.image:
        items = [_image(start + index, rng) for index in range(count)]
    elif use.features:
        items = [_example(use.features, start + index, style, rng) for index in range(count)]
    else:
        items = [_text(use.words, style, rng) for _ in range(count)]
    array = np.empty(count, dtype=object)
    array[:] = items
    return array.reshape(dims)


def _numbers(dtype: str, dims: Sequence[int], start: int, style: _Style, rng: np.random.Generator) -> np.ndarray:
    """Returns random numbers whose spread and mean differ by row, because plain noise averages to the same value."""
    target = numpy_dtype(dtype)
    if dtype == "DT_BOOL":
        return rng.integers(0, 2, dims).astype(bool)
    if target.kind in "iu":
        bound = min(style.bound or 2, np.iinfo(target).max)
        return rng.integers(0 if bound == 2 else 1, bound, dims).astype(target)
    row = (np.arange(dims[0] if dims else 1) + start) % ROWS
    spread = (0.25 + row / ROWS).reshape(-1, *(1,) * (len(dims) - 1)) if dims else 0.25 + row[0] / ROWS
    channels = rng.random((dims[0], *(1,) * (len(dims) - 2), dims[-1])) if len(dims) > 1 else rng.random()
    if style.floats == "normal":
        values = rng.standard_normal(dims) * spread + (channels - 0.5)
    else:
        values = (0.5 * rng.random(dims) * spread + 0.5 * channels) * (255 if style.floats == "pixels" else 1)
    return np.asarray(values).astype(target)


def _image(index: int, rng: np.random.Generator) -> bytes:
    """Returns a small encoded image, a coloured gradient with noise: JPEG for even indices, PNG for odd."""
    height, width = 48 + 8 * (index % 3), 64
    slope = np.linspace(0, 1, width)[None, :, None] * rng.random(3)
    pixels = (255 * (0.4 * rng.random(3) + 0.4 * slope + 0.2 * rng.random((height, width, 3)))).astype(np.uint8)
    encode = tf.io.encode_jpeg if index % 2 == 0 else tf.io.encode_png
    encoded: bytes = encode(pixels).numpy()
    return encoded


def _example(features: Mapping[str, Feature], row: int, style: _Style, rng: np.random.Generator) -> bytes:
    example = wire.Example()
    for name, feature in features.items():
        free = [1 + int(rng.integers(4))] if feature.shape is None else feature.shape
        dims = [3 if size is None else size for size in free]
        target = example.features.feature[name]
        if feature.dtype == "DT_STRING":
            target.bytes_list.value.extend(_text((), style, rng) for _ in range(int(np.prod(dims, dtype=int))))
        elif feature.dtype == "DT_INT64":
            target.int64_list.value.extend(_numbers("DT_INT64", dims, row, style, rng).ravel().tolist())
        else:
            scale = 0.5 + row % ROWS
            target.float_list.value.extend((scale * _numbers("DT_FLOAT", dims, row, style, rng)).ravel().tolist())
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def _text(words: Sequence[bytes], style: _Style, rng: np.random.Generator) -> bytes:
    """Returns one word (for lookups) or several (for vectorizers), from the graph's vocabulary if it has one."""
    count = 1 if style.floats == "normal" else 5
    if words:
        return b" ".join(words[int(index)] for index in rng.integers(0, len(words), count))
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
    return b" ".join(rng.choice(letters, int(rng.integers(2, 8))).tobytes() for _ in range(count))
