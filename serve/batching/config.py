"""BatchingConfig: the flags for batching."""

from dataclasses import dataclass
from pathlib import Path

from serve.batching.parameters import PER_MODEL_FILE, BatchingParameters, read_parameters
from serve.config import Config
from serve.errors import Code, ServeError


@dataclass(frozen=True)
class BatchingConfig:
    """The parameters of all models. With `per_model`, only those of the threads, which all models share."""

    common: BatchingParameters
    per_model: bool = False

    @classmethod
    def from_flags(cls, config: Config) -> "BatchingConfig | None":
        """Returns None without --enable_batching. Raises ServeError if the parameters file is not valid."""
        file = config.batching_parameters_file
        if not config.enable_batching:
            if file:
                raise ServeError(
                    Code.INVALID_ARGUMENT,
                    "server_options.batching_parameters_file is set without setting server_options.enable_batching to "
                    "true. Add --enable_batching.",
                )
            return None
        common = (
            read_parameters(Path(file)) if file else BatchingParameters(thread_pool_name="model_server_batch_threads")
        )
        return cls(common, config.enable_per_model_batching_parameters)

    def of_version(self, folder: Path) -> BatchingParameters | None:
        """Returns the parameters of the version in `folder`; None: do not merge its requests. Raises ServeError."""
        if not self.per_model:
            return self.common
        file = folder / PER_MODEL_FILE
        return read_parameters(file) if file.is_file() else None
