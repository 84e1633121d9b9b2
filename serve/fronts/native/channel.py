"""What the server's process and a worker inside Envoy tell each other, over a pipe that both inherit."""

from dataclasses import dataclass
from typing import Any

from serve.config import Config
from serve.errors import ServeError
from serve.overview import ServedVersion

# In a worker's environment: the pipe's file descriptor, the working folder to go to, and the one processor to run on.
DESCRIPTOR_VARIABLE = "TFX_EXPORT_CHANNEL"
FOLDER_VARIABLE = "TFX_EXPORT_FOLDER"
PROCESSOR_VARIABLE = "TFX_EXPORT_PROCESSOR"


@dataclass(frozen=True)
class Start:
    """The first word to a worker: what to serve. `in_force` is the ModelServerConfig of the last reload, if any."""

    config: Config
    in_force: bytes | None


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


@dataclass(frozen=True)
class Question:
    """From a worker: to be asked of all others. To a worker: to be answered under the same number.

    A method of `serve.peers.Respondent`, and what it takes.
    """

    number: int
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """From a worker: what it says, or the ServeError it raised."""

    number: int
    value: Any


@dataclass(frozen=True)
class Answers:
    """To the worker that asked: what all others said."""

    number: int
    values: tuple[Any, ...]
