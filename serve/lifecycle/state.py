"""State and VersionStatus: where a version stands between its folder and its requests."""

import enum
from dataclasses import dataclass

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
