"""The versions of a model: number, size, time, signatures of each."""

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tfx_export.errors import SavedModelError, VersionError
from tfx_export.savedmodel.summary import SavedModelSummary, show
from tfx_export.savedmodel.versions import list_versions


@dataclass(frozen=True)
class VersionSummary:
    """One version folder; `summary` is None and `problem` says why if it holds no readable SavedModel."""

    version: int
    folder: Path
    written: datetime
    summary: SavedModelSummary | None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`."""
        return {
            "version": self.version,
            "folder": str(self.folder),
            "written": self.written.isoformat(),
            "problem": self.problem,
            "saved_model": self.summary.to_json() if self.summary else None,
        }


def versions(model: Path | str) -> list[VersionSummary]:
    """The versions below the folder `model`, newest first. Raises VersionError if there are none."""
    model = Path(model)
    found = list_versions(model)
    if not found:
        state = "has no version folders" if model.is_dir() else "does not exist"
        raise VersionError(
            f"{model} {state}.",
            hint="A model folder holds one folder a version, named by a whole number: models/mnist/1.",
        )
    return [_summarize(version, folder) for version, folder in found.items()]


def _summarize(version: int, folder: Path) -> VersionSummary:
    written = datetime.fromtimestamp(folder.stat().st_mtime, timezone.utc)
    try:
        return VersionSummary(version, folder, written, show(folder))
    except SavedModelError as error:
        return VersionSummary(version, folder, written, None, error.message)
