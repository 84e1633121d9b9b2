"""An export job: the spec, where to publish, the extras, and the result. Does not import TensorFlow."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tfx_export.errors import SpecError, VersionError
from tfx_export.exporting.files import require_file
from tfx_export.exporting.spec.model import ExportSpec
from tfx_export.savedmodel.export_record import ExportRecord, Precision
from tfx_export.savedmodel.publish import check_writable
from tfx_export.savedmodel.signature import Signature
from tfx_export.savedmodel.version_folders import NEXT, parse_version, resolve_version

# Called with a short description of each step when it begins.
Report = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """Where an export is published: the model's folder, and the version in it (a number, `next` or `timestamp`)."""

    out: Path
    version: str | int = NEXT
    overwrite: bool = False
    # How many versions to keep, newest first; None keeps all.
    keep: int | None = None

    def check(self) -> None:
        """Raises VersionError or PublishError now if publishing would raise it later."""
        if self.keep is not None and self.keep < 1:
            raise VersionError(f"{self.keep} versions cannot be kept: the new version always stays.")
        check_writable(self.out)
        resolve_version(self.out, self.version, overwrite=self.overwrite)


@dataclass(frozen=True)
class Extras:
    """The steps of an export after the SavedModel is written.

    Args:
        verify: Whether to compare the SavedModel with its source before it is published.
        probe: An .npz file of inputs for the comparison; without it, inputs are generated.
        warmup: The number of warmup requests per signature, generated from the probe; with `warmup_from`, the largest
            number of requests taken from that file.
        warmup_from: A file of warmup requests: .npz, .json, or TFRecords of PredictionLogs.
        accelerate: The precision of a LiteRT model to add (`float32`, `float16` or `int8`); None adds no such model.
    """

    verify: bool = True
    probe: Path | None = None
    warmup: int | None = None
    warmup_from: Path | None = None
    accelerate: Precision | None = None

    @property
    def steps(self) -> int:
        """The number of steps that an export with these extras reports: five, and one for each extra."""
        return 5 + self.verify + bool(self.warmup or self.warmup_from) + bool(self.accelerate)

    def check(self) -> None:
        """Raises SpecError now if a file is missing or LiteRT is not installed."""
        for what, path in (("probe", self.probe), ("warmup", self.warmup_from)):
            if path:
                require_file(what, path)
        if self.accelerate and find_spec("ai_edge_litert") is None:
            raise SpecError(
                "An accelerated model is verified with LiteRT, which is not installed.",
                hint="Install it: pip install 'tfx-export[litert]'",
            )


DEFAULT_EXTRAS = Extras()


@dataclass(frozen=True)
class ExportJob:
    """One export, except for its source. `started` is the time.monotonic() at which the user began to wait."""

    spec: ExportSpec
    target: Target
    extras: Extras
    report: Report
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raises the errors that can be found without TensorFlow: missing files, a version that exists already."""
        for signature in self.spec.signatures:
            if signature.labels:
                require_file("labels", signature.labels)
        for asset in self.spec.assets:
            require_file("assets", asset)
        self.target.check()
        self.extras.check()


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        path: The version folder.
        source: A description of the source.
        signatures: The signatures of the SavedModel.
        bytes: The size of the version folder, in bytes.
        weight_bytes: The size of its variables, in bytes.
        seconds: The time from the call to the end of the export, in seconds.
        notes: Remarks for the user.
        record: The record that was written next to the SavedModel.
        pruned: The versions that were removed afterwards.
    """

    path: Path
    source: str
    signatures: tuple[Signature, ...]
    bytes: int
    weight_bytes: int
    seconds: float
    notes: tuple[str, ...] = field(default=())
    record: ExportRecord | None = None
    pruned: tuple[int, ...] = field(default=())

    @property
    def version(self) -> int:
        version = parse_version(self.path.name)
        assert version is not None
        return version
