"""What the server's process and a worker inside Envoy tell each other, over a pipe that both inherit."""

from dataclasses import dataclass

from serve.errors import ServeError
from serve.overview import ServedVersion

# In a worker's environment: the pipe's file descriptor, and the working folder to go to.
DESCRIPTOR_VARIABLE = "TFX_EXPORT_CHANNEL"
FOLDER_VARIABLE = "TFX_EXPORT_FOLDER"


@dataclass(frozen=True)
class Loaded:
    """A worker has its models; its ports open now."""

    versions: tuple[ServedVersion, ...]


@dataclass(frozen=True)
class Failed:
    """A worker will never have anything to serve."""

    error: ServeError


@dataclass(frozen=True)
class Drain:
    """To a worker: the end is near, say so to whoever asks for its health."""
