"""The status of a model that several processes serve: a version is available once it is available in all of them."""

from collections.abc import Sequence

from serve.lifecycle.state import State, VersionStatus
from serve.loaded_model import combined_report

_LEAVING = frozenset({State.UNLOADING, State.END})


def cluster_status(processes: Sequence[Sequence[VersionStatus]]) -> list[VersionStatus]:
    """Returns one status for each version, the largest version first, from the statuses in each of the `processes`.

    An error in any process is shown. A version is AVAILABLE when it is so in every process, and UNLOADING as soon as it
    is so in one. The reports of what loading it took are combined.
    """
    versions = sorted({status.version for process in processes for status in process}, reverse=True)
    return [_merge([_find(process, version) for process in processes]) for version in versions]


def _find(process: Sequence[VersionStatus], version: int) -> VersionStatus | None:
    return next((status for status in process if status.version == version), None)


def _merge(found: Sequence[VersionStatus | None]) -> VersionStatus:
    known = [status for status in found if status is not None]
    for status in known:
        if status.message:
            return status
    report = combined_report([status.report for status in known if status.report])
    return VersionStatus(known[0].version, _merge_states(found), report=report)


def _merge_states(found: Sequence[VersionStatus | None]) -> State:
    # A process that does not know the version will find it soon.
    states = {State.START if status is None else status.state for status in found}
    known = {status.state for status in found if status is not None}
    if known & _LEAVING:
        return State.END if known == {State.END} else State.UNLOADING
    return states.pop() if len(states) == 1 else State.LOADING
