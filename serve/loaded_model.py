"""LoadedModel: the interface of a version in memory, the same for all engines; and LoadReport: what loading it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from serve.metrics.instruments import Memory
from tfx_export.savedmodel.signature import Signature


@dataclass(frozen=True)
class Preparation:
    """How a version was prepared for the TensorFlow engine, and how long that took; None if it was found prepared.

    If `reason` is not empty, the SavedModel is served as it is, and `reason` says why.
    """

    seconds: float | None = None
    reason: str = ""


class LoadedModel(Protocol):
    """One version of a model in memory.

    `mapped_bytes` is the size of the weights in files, whose pages other processes share. `preparation` is None for an
    engine that needs none.
    """

    engine: str
    signatures: Mapping[str, Signature]
    mapped_bytes: int
    preparation: Preparation | None

    def run(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Runs `signature` on all of its `inputs`, by the names that clients use, and returns `outputs`.

        Blocks; may be called from several threads. Raises ServeError for inputs that do not fit the graph.
        """
        ...

    def close(self) -> None:
        """Frees the memory. `run` must not be called during or after this."""
        ...


@dataclass(frozen=True)
class LoadReport:
    """The memory of a version, and how it was loaded: the source of the metrics, the status and the web page.

    `load_seconds` includes the preparation and the warmup, but not the start of TensorFlow.
    """

    engine: str
    memory: Memory
    load_seconds: float
    preparation: Preparation | None

    def to_json(self) -> dict[str, str | float]:
        """Returns the members that gRPC, REST and `tfx-export status` show."""
        prepared = self.preparation
        members: dict[str, str | float] = {
            "engine": self.engine,
            "memory_bytes": int(self.memory),
            "mapped_bytes": self.memory.mapped,
            "load_seconds": round(self.load_seconds, 3),
            "preparation": _kind(prepared),
        }
        if prepared and prepared.seconds is not None:
            members["prepare_seconds"] = round(prepared.seconds, 3)
        if prepared and prepared.reason:
            members["reason"] = prepared.reason
        return members


def combined_report(reports: Sequence[LoadReport]) -> LoadReport | None:
    """Returns one report for a version that several processes have loaded: the sum of memory, the longest times."""
    if not reports:
        return None
    preparations = [report.preparation for report in reports if report.preparation]
    preparation = Preparation(
        max((each.seconds for each in preparations if each.seconds is not None), default=None),
        next((each.reason for each in preparations if each.reason), ""),
    )
    return LoadReport(
        reports[0].engine,
        Memory.combined([report.memory for report in reports]),
        max(report.load_seconds for report in reports),
        preparation if preparations else None,
    )


def _kind(preparation: Preparation | None) -> str:
    if preparation is None:
        return "not needed"
    if preparation.reason:
        return "served as it is"
    return "found prepared" if preparation.seconds is None else "prepared"
