"""BatchingParameters: how requests are merged. The fields, defaults and rules are those of TensorFlow Serving."""

import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serve.errors import Code, ServeError, invalid_argument
from tfx_export import wire

# The file in a version folder with --enable_per_model_batching_parameters.
PER_MODEL_FILE = "batching_params.pbtxt"


@dataclass(frozen=True)
class BatchingParameters:
    """Sizes are in rows (the first dimension of the inputs)."""

    # At most this many rows in a request, and in a batch unless `max_execution_batch_size` is smaller.
    max_batch_size: int = 1000
    # How long a batch that is not full waits for more requests, counted from its first request.
    batch_timeout_micros: int = 0
    # At most this many batches wait for each signature and choice of outputs.
    max_enqueued_batches: int = 10
    # At most this many batches run at the same time, over all models.
    num_batch_threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    thread_pool_name: str = "batch_threads"
    # The batch sizes that the model runs; smaller batches are padded. Empty: any size.
    allowed_batch_sizes: tuple[int, ...] = ()
    # Merge inputs of different shapes by repeating the first element of the smaller ones.
    pad_variable_length_inputs: bool = False
    # Split large requests into several batches of at most `max_execution_batch_size`.
    enable_large_batch_splitting: bool = False
    # Used only with splitting; 0 means `max_batch_size`.
    max_execution_batch_size: int = 0

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) <= 0:
                raise invalid_argument(f"{name} must be positive; was {getattr(self, name)}")
        for name in ("batch_timeout_micros", "max_execution_batch_size"):
            if getattr(self, name) < 0:
                raise invalid_argument(f"{name} must be non-negative; was {getattr(self, name)}")
        if self.enable_large_batch_splitting and self.max_execution_batch_size > self.max_batch_size:
            raise invalid_argument(
                f"When enable_large_batch_splitting is true, max_batch_size ({self.max_batch_size}) must be greater "
                f"than or equal to max_execution_batch_size ({self.max_execution_batch_size})."
            )
        self._check_allowed_sizes()

    def _check_allowed_sizes(self) -> None:
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if sizes[-1] != self.max_batch_size:
            raise invalid_argument(
                "Last entry in allowed_batch_sizes must match max_batch_size; "
                f"last entry was {sizes[-1]}; expected {self.max_batch_size}"
            )
        if sizes[0] <= 0 or any(size >= larger for size, larger in pairwise(sizes)):
            raise invalid_argument(
                f"allowed_batch_sizes entries must be positive and monotonically increasing; were {list(sizes)}"
            )

    @property
    def batch_limit(self) -> int:
        """The maximum number of rows in a batch."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size:
            return self.max_execution_batch_size
        return self.max_batch_size

    @property
    def timeout_seconds(self) -> float:
        return self.batch_timeout_micros / 1e6

    def padded_size(self, size: int) -> int:
        """Returns the number of rows to which a batch of `size` rows is padded."""
        if not self.allowed_batch_sizes:
            return size
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)


def read_parameters(file: Path) -> BatchingParameters:
    """Returns the parameters in `file` (text format). Raises ServeError that names file and line."""
    try:
        proto = wire.parse_text(wire.BatchingParameters, file.read_bytes())
    except OSError as error:
        raise ServeError(Code.NOT_FOUND, f"{file}: {error.strerror}") from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise invalid_argument(
            f"Invalid protobuf file: '{file}'. Error parsing text-format tensorflow.serving.BatchingParameters: {error}"
        ) from None
    fields: dict[str, Any] = {descriptor.name: _unwrap(value) for descriptor, value in proto.ListFields()}
    try:
        return BatchingParameters(**fields)
    except ServeError as error:
        raise ServeError(error.code, f"{file}: {error.message}") from None


def _unwrap(value: Any) -> object:
    """Returns the value of a wrapper message, a repeated field as a tuple, and other values unchanged."""
    if hasattr(value, "DESCRIPTOR"):
        return value.value
    return value if isinstance(value, bool) else tuple(value)
