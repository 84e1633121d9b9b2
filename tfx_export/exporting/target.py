"""Where an export goes and what it became."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tfx_export.errors import VersionError
from tfx_export.savedmodel.export_record import ExportRecord
from tfx_export.savedmodel.publish import check_writable
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.version_folders import NEXT, parse_version, resolve_version

# Told what is being done now, in a few words.
Report = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """Where an export goes: the model's folder and the version in it (a number, `next`, `timestamp`)."""

    out: Path
    version: str | int = NEXT
    overwrite: bool = False
    # How many versions stay, newest first; None keeps all.
    keep: int | None = None

    def check(self) -> None:
        """Raise now the VersionError or PublishError that publishing there would raise later."""
        if self.keep is not None and self.keep < 1:
            raise VersionError(f"{self.keep} versions cannot be kept: at least the new one stays.")
        check_writable(self.out)
        resolve_version(self.out, self.version, overwrite=self.overwrite)


@dataclass(frozen=True)
class Exported:
    """What was published: the version folder, its signatures, its size in bytes, the time taken in seconds."""

    path: Path
    source: str
    signatures: tuple[Signature, ...]
    bytes: int
    weight_bytes: int
    seconds: float
    notes: tuple[str, ...] = field(default=())
    record: ExportRecord | None = None
    # Versions removed after it was published.
    pruned: tuple[int, ...] = field(default=())

    @property
    def version(self) -> int:
        version = parse_version(self.path.name)
        assert version is not None
        return version
