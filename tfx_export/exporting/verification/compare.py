"""Compares the outputs of two models for the same probes: their error, and whether agreement proves anything."""

from collections.abc import Sequence

import numpy as np

from tfx_export.savedmodel.dtypes import from_numpy
from tfx_export.savedmodel.export_record import Check, Verdict

# The largest error that counts as equal, relative to the largest expected value.
TOLERANCES = {
    "DT_DOUBLE": 1e-6,
    "DT_COMPLEX128": 1e-6,
    "DT_FLOAT": 1e-4,
    "DT_COMPLEX64": 1e-4,
    "DT_HALF": 2e-2,
    "DT_BFLOAT16": 5e-2,
}
LOW_PRECISION = 2e-2
# What is said of an output of a random source.
RANDOM_NOTE = "cannot be proven equal: the source gives other values each time it runs"
# An output is live if it differs across the probes by this many tolerances.
LIVE = 10

# One output of a signature: an array for each request.
Outputs = Sequence[np.ndarray]


def compare(
    signature: str,
    output: str,
    expected: Outputs,
    actual: Outputs,
    rows: Sequence[int],
    *,
    tolerance: float | None = None,
    random_note: str = "",
) -> Check:
    """Compares one output over all requests of a probe; request i has `rows[i]` rows.

    Floats may differ by `tolerance` (None: by dtype), relative to the largest finite expected value; NaN and
    infinities must be in the same places. Values of other dtypes must be equal. With a `random_note`, the note of a
    check with the verdict `random`, only dtype and rank are compared.
    """
    expected, actual = [np.asarray(array) for array in expected], [np.asarray(array) for array in actual]
    dtype, wanted = from_numpy(actual[0].dtype), from_numpy(expected[0].dtype)
    allowed = TOLERANCES.get(dtype, 0.0) if tolerance is None or dtype not in TOLERANCES else tolerance

    def check(verdict: Verdict, error: float | None, note: str = "") -> Check:
        return Check(signature, output, dtype, verdict, error, allowed, note)

    if dtype != wanted:
        return check("differs", None, f"dtype {dtype} where {wanted} is expected")
    for one, other in zip(expected, actual, strict=True):
        if random_note and one.ndim == other.ndim:
            continue
        if one.shape != other.shape:
            return check("differs", None, f"shape {list(other.shape)} where {list(one.shape)} is expected")
    if random_note:
        return check("random", None, random_note)
    error = _error(_flat(expected), _flat(actual), _scale(expected))
    if not error <= allowed:
        return check("differs", None if np.isinf(error) else error, "NaN or infinity" if np.isinf(error) else "")
    if not is_live(expected, rows, allowed):
        return check("unproven", error, "the same for every probe")
    return check("equal", error)


def is_live(outputs: Outputs, rows: Sequence[int], tolerance: float) -> bool:
    """Returns whether an output depends on its input: across all rows it differs by far more than `tolerance`.

    An output without a batch dimension must differ between requests.
    """
    batched = all(output.ndim and len(output) == count for output, count in zip(outputs, rows, strict=True))
    parts = [row for output in outputs for row in output] if batched else list(outputs)
    first, scale = np.asarray(parts[0]), _scale(outputs)
    # Ten times the tolerance of an int8 model would be more than the outputs of any network differ.
    enough = LIVE * min(tolerance, LOW_PRECISION)
    return any(
        np.shape(part) != first.shape or _error(_flat([first]), _flat([part]), scale) > enough for part in parts[1:]
    )


def is_same(once: Outputs, again: Outputs, *, exact: bool) -> bool:
    """Returns whether a model gave the same values in two runs on the same requests.

    Unless `exact`, they may differ by a tenth of the tolerance, because some devices add numbers in another order each
    time.
    """
    for one, other in zip(once, again, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        allowed = 0.0 if exact else TOLERANCES.get(from_numpy(one.dtype), 0.0) / 10
        if not _error(_flat([one]), _flat([other]), _scale(once)) <= allowed:
            return False
    return True


def _flat(arrays: Outputs) -> np.ndarray:
    flat = np.concatenate([np.ravel(array) for array in arrays])
    if flat.dtype.kind in "OSU":
        return np.array([item.encode() if isinstance(item, str) else item for item in flat.tolist()], dtype=object)
    if flat.dtype.kind == "c":
        flat = np.concatenate([flat.real, flat.imag])
    # Floats are compared in 64 bits.
    return flat.astype(np.float64) if from_numpy(flat.dtype) in TOLERANCES else flat


def _scale(arrays: Outputs) -> float:
    flat = _flat(arrays)
    if flat.dtype != np.float64:
        return 1.0
    finite = np.abs(flat[np.isfinite(flat)])
    return float(finite.max(initial=0.0)) or 1.0


def _error(expected: np.ndarray, actual: np.ndarray, scale: float) -> float:
    """Returns the relative error of floats (infinite if NaN or infinity is misplaced), else the share that differs."""
    if expected.size == 0:
        return 0.0
    if expected.dtype != np.float64:
        return float(np.mean(expected != actual))
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], actual[~finite], equal_nan=True) or not np.isfinite(actual[finite]).all():
        return float("inf")
    return float(np.abs(expected[finite] - actual[finite]).max(initial=0.0) / scale)
