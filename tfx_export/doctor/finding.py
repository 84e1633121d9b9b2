"""Finding: the result of one check."""

from dataclasses import dataclass
from typing import Literal

# `note`: works, but is worth knowing; `missing`: an optional part that is not installed; `problem`: will fail.
Level = Literal["ok", "note", "missing", "problem"]


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    `area`: the heading in the report. `advice`: what to type or change, empty if nothing needs to change.
    """

    area: str
    name: str
    level: Level
    found: str
    advice: str = ""
