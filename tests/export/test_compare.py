"""Outputs are judged as equal, different or unproven."""

import numpy as np
import pytest

from tfx_export.exporting.verification.compare import compare

ROWS = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
NAN = np.array([[np.nan, 1.0], [np.inf, 4.0]], np.float32)
ALIKE = ROWS[[0, 0]] + np.array([[0], [1e-3]], np.float32)
WORDS = np.array([b"a", b"b"], dtype=object)


@pytest.mark.parametrize(
    ("expected", "actual", "verdict"),
    [
        (ROWS, ROWS, "equal"),
        (ROWS, ROWS + 3e-4, "equal"),
        (ROWS, ROWS + 5e-4, "differs"),
        (ROWS * 1e-9, ROWS * 1e-9 + 3e-13, "equal"),
        (ROWS * 1e-9, ROWS * 1.001e-9, "differs"),
        (ROWS.astype(np.float64), ROWS.astype(np.float64) + 3e-4, "differs"),
        (ROWS.astype(np.float16), ROWS.astype(np.float16) * np.float16(1.01), "equal"),
        (ROWS.astype(np.float16), ROWS.astype(np.float16) * np.float16(1.1), "differs"),
        (ROWS.astype(np.complex64) * 1j, ROWS.astype(np.complex64) * 1.01j, "differs"),
        (NAN, NAN, "equal"),
        (NAN, np.nan_to_num(NAN, nan=1.0), "differs"),
        (ROWS, NAN, "differs"),
        (np.array([1, 2]), np.array([1, 2]), "equal"),
        (np.array([1, 2]), np.array([1, 3]), "differs"),
        (np.array([1, 2]), np.array([1, 2], np.int32), "differs"),
        (np.array([[1, 2]]), np.array([1, 2]), "differs"),
        (WORDS, WORDS.astype(str), "equal"),
        (WORDS, WORDS[::-1], "differs"),
        (ROWS[[0, 0]], ROWS[[0, 0]], "unproven"),
        (ALIKE, ALIKE, "unproven"),
        (np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), "unproven"),
        (np.array([b"a", b"a"], dtype=object), np.array([b"a", b"a"], dtype=object), "unproven"),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), "unproven"),
    ],
)
def test_the_verdict_on_the_outputs_of_one_request(expected: np.ndarray, actual: np.ndarray, verdict: str) -> None:
    assert compare("s", "y", [expected], [actual], [2]).verdict == verdict


def test_the_tolerance_applies_to_floats_only() -> None:
    assert compare("s", "y", [ROWS], [ROWS * 1.01], [2], tolerance=2e-2).verdict == "equal"
    assert compare("s", "y", [np.array([1, 2])], [np.array([1, 3])], [2], tolerance=9.0).verdict == "differs"


@pytest.mark.parametrize(
    ("answers", "rows", "verdict"),
    [
        # A vector without a batch dimension: its elements differ, but the outputs of the requests do not.
        ([np.array([1.0, 2.0, 3.0])] * 2, [4, 1], "unproven"),
        ([np.array([1.0, 2.0]), np.array([1.0, 3.0])], [1, 1], "equal"),
        ([np.float64(1.0), np.float64(2.0)], [1, 1], "equal"),
        ([np.array([[1.0, 2.0]]), np.array([[5.0, 2.0]])], [1, 1], "equal"),
        ([np.array([[1.0, 2.0]] * 4), np.array([[1.0, 2.0]])], [4, 1], "unproven"),
    ],
)
def test_outputs_must_differ_between_rows_or_requests(answers: list[np.ndarray], rows: list[int], verdict: str) -> None:
    assert compare("s", "y", answers, answers, rows).verdict == verdict
