"""The versions of a model: number, time, size and signatures of each, and what changed from the version before."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from tfx_export.errors import SavedModelError, VersionError
from tfx_export.recognise import describe
from tfx_export.savedmodel.diff import Change, signature_changes
from tfx_export.savedmodel.export_record import file_hashes, sha256
from tfx_export.savedmodel.reader import is_saved_model
from tfx_export.savedmodel.summary import SavedModelSummary, show
from tfx_export.savedmodel.version_folders import list_versions


@dataclass(frozen=True)
class VersionSummary:
    """One version folder.

    If it does not hold a readable SavedModel, `summary` is None and `problem` says why. `changes` lists how the
    signatures differ from the version before. `same_as` is the latest earlier version with the same content.
    """

    version: int
    folder: Path
    written: datetime
    summary: SavedModelSummary | None
    problem: str = ""
    changes: tuple[Change, ...] = ()
    same_as: int | None = None

    def to_json(self) -> dict[str, object]:
        """Returns plain values for `json.dumps`."""
        return {
            "version": self.version,
            "folder": str(self.folder),
            "written": self.written.isoformat(),
            "problem": self.problem,
            "changes": [asdict(change) for change in self.changes],
            "same_as": self.same_as,
            "saved_model": self.summary.to_json() if self.summary else None,
        }


def versions(model: Path | str) -> list[VersionSummary]:
    """Returns the versions in the folder `model`, newest first. Does not need TensorFlow.

    Raises VersionError if there are none.
    """
    model = Path(model)
    folders = list_versions(model)
    if not folders:
        raise no_versions(model)
    found = [_summarize(version, folder) for version, folder in folders.items()]
    contents = [content_hashes(entry.folder) for entry in found]
    for index, entry in enumerate(found):
        earlier = found[index + 1 :]
        same = [
            old.version for old, hashes in zip(earlier, contents[index + 1 :], strict=True) if hashes == contents[index]
        ]
        before = next((old.summary for old in earlier if old.summary), None)
        changes = tuple(_changes(before, entry.summary)) if before and entry.summary else ()
        found[index] = replace(entry, changes=changes, same_as=same[0] if same and entry.summary else None)
    return found


def no_versions(model: Path) -> VersionError:
    """Returns the error for a path that is not a folder with versions."""
    message, hint = describe(model, "a folder of versions")
    rule = "A model folder holds one folder for each version. Its name is a whole number: models/mnist/1."
    return VersionError(message, hint="\n".join(filter(None, (rule, hint))))


def content_hashes(folder: Path) -> tuple[dict[str, str], str]:
    """Returns hashes of the graph, the variables' index and the assets; two versions are equal if these are.

    The weights are not read: the index holds a checksum of each tensor.
    """
    assets = folder / "assets"
    return file_hashes(folder), sha256(assets) if assets.is_dir() else ""


def newest_saved_model(folder: Path | str) -> Path:
    """Returns `folder` if it is a SavedModel, else the newest version in it, or `folder` if it has no versions."""
    folder = Path(folder)
    return folder if is_saved_model(folder) else next(iter(list_versions(folder).values()), folder)


def _summarize(version: int, folder: Path) -> VersionSummary:
    written = datetime.fromtimestamp(folder.stat().st_mtime, timezone.utc)
    try:
        return VersionSummary(version, folder, written, show(folder))
    except SavedModelError as error:
        return VersionSummary(version, folder, written, None, error.message)


def _changes(old: SavedModelSummary, new: SavedModelSummary) -> Iterator[Change]:
    after = {meta.tags: meta for meta in new.meta_graphs}
    for meta in old.meta_graphs:
        if meta.tags in after:
            yield from signature_changes(meta.signatures, after[meta.tags].signatures)
        else:
            yield Change("breaking", f"tag set {','.join(meta.tags)}", "is gone")
