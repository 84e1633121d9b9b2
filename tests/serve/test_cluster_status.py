"""The statuses of a version in several processes, merged into one."""

import pytest

from serve.errors import Code
from serve.lifecycle.cluster_status import cluster_status
from serve.lifecycle.state import State, VersionStatus
from serve.loaded_model import LoadReport, Preparation
from serve.metrics.instruments import Memory

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


def test_mapped_memory_counts_once_and_the_slowest_load_is_shown() -> None:
    first = LoadReport("tensorflow", Memory(30, 500), 7.0, Preparation(5.0))
    second = LoadReport("tensorflow", Memory(20, 500), 8.0, Preparation())
    views = [[VersionStatus(1, AVAILABLE, report=report)] for report in (first, second)]
    (status,) = cluster_status(views)
    assert status.report == LoadReport("tensorflow", Memory(50, 500), 8.0, Preparation(5.0))


def test_a_version_that_one_process_serves_as_it_is_shows_the_reason() -> None:
    first = LoadReport("tensorflow", Memory(30, 0), 7.0, Preparation(5.0))
    second = LoadReport("tensorflow", Memory(60, 0), 7.0, Preparation(reason="the disk is full"))
    (status,) = cluster_status([[VersionStatus(1, AVAILABLE, report=report)] for report in (first, second)])
    assert status.report
    assert status.report.to_json() == {
        "engine": "tensorflow",
        "memory_bytes": 90,
        "mapped_bytes": 0,
        "load_seconds": 7.0,
        "preparation": "served as it is",
        "prepare_seconds": 5.0,
        "reason": "the disk is full",
    }


def test_an_engine_without_a_preparation_says_so() -> None:
    report = LoadReport("litert", Memory(30, 0), 0.01, None)
    (status,) = cluster_status([[VersionStatus(1, AVAILABLE, report=report)]])
    assert status.report
    assert status.report.to_json()["preparation"] == "not needed"
