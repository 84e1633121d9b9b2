"""Merging the rows of several requests, and splitting them again."""

import numpy as np
import pytest

from serve.batching.tensors import check_rows, merge, merge_key, row_count, split
from serve.errors import Code, ServeError


def strings(*values: bytes) -> np.ndarray:
    tensor = np.empty(len(values), object)
    tensor[:] = values
    return tensor


def test_row_count() -> None:
    assert row_count({"x": np.zeros((3, 2)), "y": np.zeros(3)}) == 3


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "Batching Run() must have at least one input tensor"),
        ({"x": np.array(1)}, "Batching Run() input tensors must have at least one dimension. Input x is a scalar."),
        (
            {"x": np.zeros(3), "y": np.zeros((2, 5))},
            "Batching Run() input tensors must have equal 0th-dimension size. Sizes: x: 3, y: 2",
        ),
    ],
)
def test_inputs_with_different_row_counts_are_refused(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ServeError) as caught:
        row_count(inputs)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    ("one", "other", "pad", "together"),
    [
        pytest.param(np.zeros((1, 2)), np.zeros((5, 2)), False, True, id="row counts may differ"),
        pytest.param(np.zeros((1, 2)), np.zeros((1, 3)), False, False, id="other dimensions must be equal"),
        pytest.param(np.zeros((1, 2)), np.zeros((1, 3)), True, True, id="unless padded"),
        pytest.param(np.zeros((1, 2)), np.zeros(1), True, False, id="ranks must be equal"),
        pytest.param(np.zeros(1, np.float32), np.zeros(1, np.int64), True, False, id="dtypes must be equal"),
        pytest.param(np.zeros((1, 2)), np.zeros((1, 0)), True, False, id="nothing to pad with"),
    ],
)
def test_merge_key(one: np.ndarray, other: np.ndarray, pad: bool, together: bool) -> None:
    assert (merge_key({"x": one}, pad) == merge_key({"x": other}, pad)) is together


def test_high_ranks_cannot_be_padded() -> None:
    with pytest.raises(ServeError, match="Only tensors with rank from 1 to 6 can be padded"):
        merge_key({"x": np.zeros((1,) * 7)}, pad=True)


@pytest.mark.parametrize(
    ("tensors", "rows", "merged"),
    [
        ([np.array([1]), np.array([2, 3])], 3, [1, 2, 3]),
        ([np.array([1]), np.array([2, 3])], 5, [1, 2, 3, 2, 2]),
        ([np.array([[1, 2]]), np.array([[3], [4]])], 3, [[1, 2], [3, 3], [4, 3]]),
        ([np.array([[[1], [2]]]), np.array([[[3, 4]]])], 3, [[[1, 1], [2, 1]], [[3, 4], [3, 3]], [[3, 4], [3, 3]]]),
        ([strings(b"a\0"), strings(b"b")], 3, [b"a\0", b"b", b"b"]),
        ([strings(b"a\0")[None], strings(b"b", b"c")[None]], 2, [[b"a\0", b"a\0"], [b"b", b"c"]]),
    ],
)
def test_merge(tensors: list[np.ndarray], rows: int, merged: list[object]) -> None:
    together = merge([{"x": tensor} for tensor in tensors], rows)["x"]
    assert together.tolist() == merged
    assert together.dtype == tensors[0].dtype


def test_single_request_is_not_copied() -> None:
    tensor = np.zeros((2, 3))
    assert merge([{"x": tensor}], 2)["x"] is tensor


def test_each_request_gets_its_rows_without_padding() -> None:
    parts = split({"y": np.arange(8).reshape(4, 2), "z": np.arange(4)}, [1, 2])
    assert [part["y"].tolist() for part in parts] == [[[0, 1]], [[2, 3], [4, 5]]]
    assert [part["z"].tolist() for part in parts] == [[0], [1, 2]]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.array(1.0), "Batched output tensor has 0 dimensions"),
        (
            np.zeros(2),
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input",
        ),
    ],
)
def test_outputs_with_another_row_count_are_an_error(output: np.ndarray, message: str) -> None:
    with pytest.raises(ServeError) as caught:
        check_rows({"y": output}, 3)
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert caught.value.message.startswith(message)
