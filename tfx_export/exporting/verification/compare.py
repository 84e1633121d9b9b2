"""Compare two answers to the same probes: how far they are apart, and whether that they agree means anything."""

from collections.abc import Sequence

import numpy as np

from tfx_export.savedmodel.dtypes import from_numpy
from tfx_export.savedmodel.export_record import Check, Verdict

# Largest error that counts as equal, relative to the largest expected value.
TOLERANCES = {
    "DT_DOUBLE": 1e-6,
    "DT_COMPLEX128": 1e-6,
    "DT_FLOAT": 1e-4,
    "DT_COMPLEX64": 1e-4,
    "DT_HALF": 2e-2,
    "DT_BFLOAT16": 5e-2,
}
LOW_PRECISION = 2e-2
# Outputs count as live if they differ across the probes by this many tolerances.
LIVE = 10

Requests = Sequence[np.ndarray]


def compare(
    signature: str,
    output: str,
    expected: Requests,
    actual: Requests,
    rows: Sequence[int],
    *,
    tolerance: float | None = None,
) -> Check:
    """Compare one output over all probes: the one with `rows[i]` rows was answered by `expected[i]` and `actual[i]`.

    Floats may differ by `tolerance` (by dtype if None) relative to the largest finite expected value; NaN and
    infinities must be in the same places. All else must be equal.
    """
    expected, actual = [np.asarray(array) for array in expected], [np.asarray(array) for array in actual]
    dtype, wanted = from_numpy(actual[0].dtype), from_numpy(expected[0].dtype)
    allowed = TOLERANCES.get(dtype, 0.0) if tolerance is None or dtype not in TOLERANCES else tolerance

    def check(verdict: Verdict, error: float | None, note: str = "") -> Check:
        return Check(signature, output, dtype, verdict, error, allowed, note)

    if dtype != wanted:
        return check("differs", None, f"dtype {dtype} where {wanted} is expected")
    for one, other in zip(expected, actual, strict=True):
        if one.shape != other.shape:
            return check("differs", None, f"shape {list(other.shape)} where {list(one.shape)} is expected")
    error = _error(_flat(expected), _flat(actual), _scale(expected))
    if not error <= allowed:
        return check("differs", None if np.isinf(error) else error, "NaN or infinity" if np.isinf(error) else "")
    if not is_live(expected, rows, allowed):
        return check("unproven", error, "the same for every probe")
    return check("equal", error)


def is_live(answers: Requests, rows: Sequence[int], tolerance: float) -> bool:
    """Whether an output depends on its input: across the rows of all answers it differs well beyond `tolerance`.

    An output without a dimension for the rows must differ between whole answers.
    """
    batched = all(answer.ndim and len(answer) == count for answer, count in zip(answers, rows, strict=True))
    parts = [row for answer in answers for row in answer] if batched else list(answers)
    first, scale = np.asarray(parts[0]), _scale(answers)
    # No network's answers differ by ten times what an int8 model is allowed to be off.
    enough = LIVE * min(tolerance, LOW_PRECISION)
    return any(
        np.shape(part) != first.shape or _error(_flat([first]), _flat([part]), scale) > enough for part in parts[1:]
    )


def _flat(arrays: Requests) -> np.ndarray:
    flat = np.concatenate([np.ravel(array) for array in arrays])
    if flat.dtype.kind in "OSU":
        return np.array([item.encode() if isinstance(item, str) else item for item in flat.tolist()], dtype=object)
    if flat.dtype.kind == "c":
        flat = np.concatenate([flat.real, flat.imag])
    # All floats are compared in 64 bits.
    return flat.astype(np.float64) if from_numpy(flat.dtype) in TOLERANCES else flat


def _scale(arrays: Requests) -> float:
    flat = _flat(arrays)
    if flat.dtype != np.float64:
        return 1.0
    finite = np.abs(flat[np.isfinite(flat)])
    return float(finite.max(initial=0.0)) or 1.0


def _error(expected: np.ndarray, actual: np.ndarray, scale: float) -> float:
    """Relative error of floats, infinite where NaN or infinity is misplaced; of all else the share that differs."""
    if expected.size == 0:
        return 0.0
    if expected.dtype != np.float64:
        return float(np.mean(expected != actual))
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], actual[~finite], equal_nan=True) or not np.isfinite(actual[finite]).all():
        return float("inf")
    return float(np.abs(expected[finite] - actual[finite]).max(initial=0.0) / scale)
