"""State and VersionStatus: where a version stands between its folder and its requests."""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from serve.errors import Code


class State(enum.IntEnum):
    """The numbers are those of `tensorflow.serving.ModelVersionStatus.State`."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """What GetModelStatus says about a version. A version that does not load carries its error here."""

    version: int
    state: State
    code: Code = Code.OK
    message: str = ""


class ModelRef(NamedTuple):
    """A model by name and, if the request is particular about it, a version number or a label; else the newest."""

    name: str
    version: int | None = None
    label: str | None = None
