"""ModelRef: which version of which model a request means."""

from typing import NamedTuple


class ModelRef(NamedTuple):
    """A model by name and, if the request is particular about it, a version number or a label; else the newest."""

    name: str
    version: int | None = None
    label: str | None = None
