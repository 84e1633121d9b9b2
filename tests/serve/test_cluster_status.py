"""The statuses of a version in several processes, merged into one."""

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
def test_a_version_is_available_once_all_processes_have_it(states: list[State | None], together: State) -> None:
    views = [[VersionStatus(1, state)] if state else [] for state in states]
    assert cluster_status(views) == [VersionStatus(1, together)]


def test_an_error_in_any_process_is_shown() -> None:
    assert cluster_status([[VersionStatus(1, AVAILABLE)], [BROKEN]]) == [BROKEN]


def test_versions_of_any_process_are_listed_the_largest_first() -> None:
    views = [[VersionStatus(2, AVAILABLE)], [VersionStatus(3, LOADING), VersionStatus(2, AVAILABLE)]]
    assert cluster_status(views) == [VersionStatus(3, LOADING), VersionStatus(2, AVAILABLE)]
