"""The order of loads and unloads: a pure function from a snapshot of one model to at most one action."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from serve.lifecycle.state import State


class Verb(enum.Enum):
    LOAD = "load"
    UNLOAD = "unload"


@dataclass(frozen=True)
class Action:
    verb: Verb
    version: int


@dataclass(frozen=True)
class VersionSnapshot:
    """One version as the policy sees it."""

    version: int
    aspired: bool
    state: State


def next_action(versions: Iterable[VersionSnapshot]) -> Action | None:
    """Never leave a model without a version that serves, if there is a choice.

    Unload what is not aspired only once an aspired version serves (or none is aspired, or several old ones serve);
    load the largest new one first.
    """
    versions = list(versions)
    aspired = [each for each in versions if each.aspired]
    surplus = [each.version for each in versions if not each.aspired and each.state is State.AVAILABLE]
    replaced = any(each.state is State.AVAILABLE for each in aspired)
    if surplus and (not aspired or replaced or len(surplus) > 1):
        return Action(Verb.UNLOAD, min(surplus))
    new = [each.version for each in aspired if each.state is State.START]
    return Action(Verb.LOAD, max(new)) if new else None
