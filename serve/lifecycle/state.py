"""State, VersionStatus and ModelRef."""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from serve.errors import Code
from serve.loaded_model import LoadReport


class State(enum.IntEnum):
    """The state of a version. The numbers are those of `tensorflow.serving.ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """The status of a version, as GetModelStatus reports it, with the error if the version failed to load.

    `report` is present while the version is in memory.
    """

    version: int
    state: State
    code: Code = Code.OK
    message: str = ""
    report: LoadReport | None = None


class ModelRef(NamedTuple):
    """A model by name and, optionally, a version number or a label. Without these it means the largest version."""

    name: str
    version: int | None = None
    label: str | None = None
