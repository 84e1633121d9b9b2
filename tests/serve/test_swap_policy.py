"""Which versions are aspired, and the order of loads and unloads: tables for the two pure functions."""

import pytest

from serve.lifecycle.state import State
from serve.lifecycle.swap_policy import Action, Verb, VersionSnapshot, next_action
from serve.lifecycle.version_policy import All, Latest, Specific, VersionPolicy, aspired_versions


@pytest.mark.parametrize(
    ("policy", "on_disk", "broken", "aspired"),
    [
        (Latest(), [], [], set()),
        (Latest(), [1, 2, 10], [], {10}),
        (Latest(0), [1, 2], [], {2}),
        (Latest(2), [1, 2, 10], [], {2, 10}),
        (Latest(5), [1, 2], [], {1, 2}),
        (Latest(), [1, 2, 3], [3], {2, 3}),
        (Latest(), [1, 2, 3], [3, 2], {1, 2, 3}),
        (Latest(), [1, 2, 3], [1], {3}),
        (All(), [1, 2], [2], {1, 2}),
        (Specific(frozenset({1, 7})), [1, 2], [], {1}),
    ],
)
def test_aspired_versions(policy: VersionPolicy, on_disk: list[int], broken: list[int], aspired: set[int]) -> None:
    assert aspired_versions(policy, on_disk, broken) == aspired


START, LOADING, AVAILABLE, UNLOADING, END = State


def load(version: int) -> Action:
    return Action(Verb.LOAD, version)


def unload(version: int) -> Action:
    return Action(Verb.UNLOAD, version)


@pytest.mark.parametrize(
    ("aspired", "surplus", "action"),
    [
        ({}, {}, None),
        ({2: START}, {}, load(2)),
        ({1: START, 3: START, 2: START}, {}, load(3)),
        # The old version serves until the new one is available.
        ({2: START}, {1: AVAILABLE}, load(2)),
        ({2: LOADING}, {1: AVAILABLE}, None),
        ({2: AVAILABLE}, {1: AVAILABLE}, unload(1)),
        ({2: END}, {1: AVAILABLE}, None),
        # Of several old versions only the newest stays.
        ({3: LOADING}, {1: AVAILABLE, 2: AVAILABLE}, unload(1)),
        # If none is aspired, the model is unloaded.
        ({}, {2: AVAILABLE}, unload(2)),
        # If both are due, the unload is first.
        ({3: AVAILABLE, 4: START}, {1: AVAILABLE}, unload(1)),
        ({3: AVAILABLE}, {1: UNLOADING, 2: END}, None),
    ],
)
def test_next_action(aspired: dict[int, State], surplus: dict[int, State], action: Action | None) -> None:
    versions = [VersionSnapshot(version, True, state) for version, state in aspired.items()]
    versions += [VersionSnapshot(version, False, state) for version, state in surplus.items()]
    assert next_action(versions) == action
