"""What several processes say of a version, as one."""

import pytest

from serve.errors import Code
from serve.lifecycle.cluster_status import cluster_status
from serve.lifecycle.state import State, VersionStatus

START, LOADING, AVAILABLE, UNLOADING, END = State
BROKEN = VersionStatus(1, END, Code.INTERNAL, "broken")


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ([START], START),
        ([AVAILABLE, AVAILABLE], AVAILABLE),
        ([START, LOADING], LOADING),
        ([LOADING, AVAILABLE], LOADING),
        ([AVAILABLE, None], LOADING),
        ([START, None], START),
        ([AVAILABLE, UNLOADING], UNLOADING),
        ([END, AVAILABLE], UNLOADING),
        ([END, UNLOADING, END], UNLOADING),
        ([END, END], END),
        ([None, END], END),
    ],
)
def test_a_version_is_as_far_as_the_last_of_them(states: list[State | None], together: State) -> None:
    views = [[VersionStatus(1, state)] if state else [] for state in states]
    assert cluster_status(views) == [VersionStatus(1, together)]


def test_an_error_anywhere_is_shown() -> None:
    assert cluster_status([[VersionStatus(1, AVAILABLE)], [BROKEN]]) == [BROKEN]


def test_every_version_that_one_knows_is_told_the_largest_first() -> None:
    views = [[VersionStatus(2, AVAILABLE)], [VersionStatus(3, LOADING), VersionStatus(2, AVAILABLE)]]
    assert cluster_status(views) == [VersionStatus(3, LOADING), VersionStatus(2, AVAILABLE)]
