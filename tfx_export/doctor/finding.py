"""Finding: one thing that was looked at."""

from dataclasses import dataclass
from typing import Literal

# `note`: works, but somebody may wonder later; `missing`: an optional part; `problem`: something will fail.
Level = Literal["ok", "note", "missing", "problem"]


@dataclass(frozen=True)
class Finding:
    """`area` groups findings in a report; `advice` says what to type or change, empty if nothing needs to be."""

    area: str
    name: str
    level: Level
    found: str
    advice: str = ""
