"""The order of loads and unloads, as a pure function: from the versions of a model to the next action."""

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
    """One version as the policy sees it: whether it should be in memory, and its state."""

    version: int
    aspired: bool
    state: State


def next_action(versions: Iterable[VersionSnapshot]) -> Action | None:
    """Returns the next action for a model; None if there is nothing to do now.

    A version that is not aspired is unloaded only if an aspired version is available, no version is aspired, or several
    old ones are available. So, if possible, one version always serves. The largest new version is loaded first.
    """
    versions = list(versions)
    aspired = [each for each in versions if each.aspired]
    surplus = [each.version for each in versions if not each.aspired and each.state is State.AVAILABLE]
    replaced = any(each.state is State.AVAILABLE for each in aspired)
    if surplus and (not aspired or replaced or len(surplus) > 1):
        return Action(Verb.UNLOAD, min(surplus))
    new = [each.version for each in aspired if each.state is State.START]
    return Action(Verb.LOAD, max(new)) if new else None
