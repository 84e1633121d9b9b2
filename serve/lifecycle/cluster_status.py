"""One view of a model that several processes serve: a version is available once it is so in all of them."""

from collections.abc import Sequence

from serve.lifecycle.state import State, VersionStatus

_LEAVING = frozenset({State.UNLOADING, State.END})


def cluster_status(views: Sequence[Sequence[VersionStatus]]) -> list[VersionStatus]:
    """What all processes together say of each version, the largest first.

    An error anywhere is shown. "Available" is said when it is true everywhere, "unloading" when it has begun anywhere.
    """
    versions = sorted({status.version for view in views for status in view}, reverse=True)
    return [_together([_find(view, version) for view in views]) for version in versions]


def _find(view: Sequence[VersionStatus], version: int) -> VersionStatus | None:
    return next((status for status in view if status.version == version), None)


def _together(found: Sequence[VersionStatus | None]) -> VersionStatus:
    known = [status for status in found if status is not None]
    for status in known:
        if status.message:
            return status
    states = {status.state for status in known}
    if states & _LEAVING:
        return VersionStatus(known[0].version, State.END if states == {State.END} else State.UNLOADING)
    if len(known) < len(found):
        states.add(State.START)  # who has not seen it yet will
    return VersionStatus(known[0].version, states.pop() if len(states) == 1 else State.LOADING)
