"""The batching parameters file."""

import os
from pathlib import Path

import pytest

from serve.batching.parameters import BatchingParameters, read_parameters
from serve.errors import Code, ServeError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "batching.txt"


def test_every_field_is_read(file: Path) -> None:
    file.write_text("""
        max_batch_size { value: 32 }
        batch_timeout_micros { value: 2500 }
        max_enqueued_batches { value: 7 }
        num_batch_threads { value: 3 }
        thread_pool_name { value: "pool" }
        allowed_batch_sizes: 8
        allowed_batch_sizes: 32
        pad_variable_length_inputs: true
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 16 }
    """)
    assert read_parameters(file) == BatchingParameters(
        max_batch_size=32,
        batch_timeout_micros=2500,
        max_enqueued_batches=7,
        num_batch_threads=3,
        thread_pool_name="pool",
        allowed_batch_sizes=(8, 32),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=16,
    )


def test_empty_file_means_the_defaults(file: Path) -> None:
    file.touch()
    parameters = read_parameters(file)
    assert (parameters.max_batch_size, parameters.batch_timeout_micros, parameters.max_enqueued_batches) == (
        1000,
        0,
        10,
    )
    assert parameters.num_batch_threads == os.cpu_count()
    assert not parameters.enable_large_batch_splitting


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 8", "Error parsing text-format tensorflow.serving.BatchingParameters: 1:"),
        ("max_batch_sizes { value: 8 }", "max_batch_sizes"),
        ("\xff", "Invalid protobuf file"),
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("num_batch_threads { value: -1 }", "num_batch_threads must be positive; was -1"),
        ("max_enqueued_batches { value: 0 }", "max_enqueued_batches must be positive; was 0"),
        ("batch_timeout_micros { value: -5 }", "batch_timeout_micros must be non-negative; was -5"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        ("allowed_batch_sizes: [8]", "last entry was 8; expected 1000"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [4, 2, 8]",
            "must be positive and monotonically increasing; were [4, 2, 8]",
        ),
        (
            "max_batch_size { value: 8 } enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 9 }",
            "max_batch_size (8) must be greater than or equal to max_execution_batch_size (9)",
        ),
    ],
)
def test_error_names_the_invalid_file(file: Path, text: str, message: str) -> None:
    file.write_text(text, encoding="latin-1")
    with pytest.raises(ServeError) as caught:
        read_parameters(file)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message in caught.value.message
    assert str(file) in caught.value.message


def test_error_names_the_missing_file(file: Path) -> None:
    with pytest.raises(ServeError, match=r"NOT_FOUND: .*batching\.txt: No such file"):
        read_parameters(file)


@pytest.mark.parametrize(("size", "padded"), [(1, 4), (4, 4), (5, 16), (16, 16)])
def test_batch_is_padded_to_the_next_allowed_size(size: int, padded: int) -> None:
    assert BatchingParameters(max_batch_size=16, allowed_batch_sizes=(4, 16)).padded_size(size) == padded


def test_without_allowed_sizes_nothing_is_padded() -> None:
    assert BatchingParameters().padded_size(5) == 5
