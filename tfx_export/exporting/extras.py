"""What an export does beyond writing: prove it, warm it up, accelerate it. Options and order; the work is elsewhere."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

from tfx_export.errors import SpecError
from tfx_export.exporting.files import require_file
from tfx_export.savedmodel import export_record
from tfx_export.savedmodel.export_record import ExportRecord, Precision, Source
from tfx_export.savedmodel.publish import translate_os_errors

if TYPE_CHECKING:
    from tfx_export.exporting.worker_process import WorkerProcess

_LIBRARIES = ("tensorflow", "keras", "tf_keras", "numpy", "ai-edge-litert")


@dataclass(frozen=True)
class Extras:
    """What to do with a written export.

    `verify` compares it with its source, on the inputs in the .npz file `probe` or on generated ones.
    `warmup` is the number of generated warmup requests for each signature; `warmup_from` a file to take them from, then
    `warmup` limits their number. `accelerate` adds a LiteRT model of that precision.
    """

    verify: bool = True
    probe: Path | None = None
    warmup: int | None = None
    warmup_from: Path | None = None
    accelerate: Precision | None = None

    @property
    def steps(self) -> int:
        """How many steps an export with these has: five, and one for each thing beyond the writing."""
        return 5 + self.verify + bool(self.warmup or self.warmup_from) + bool(self.accelerate)

    def check(self) -> None:
        """Raise now the SpecError that would come up after the model has been written."""
        for what, path in (("probe", self.probe), ("warmup", self.warmup_from)):
            if path:
                require_file(what, path)
        if self.accelerate and find_spec("ai_edge_litert") is None:
            raise SpecError(
                "An accelerated model is verified with LiteRT, which is not installed.",
                hint="Install it: pip install 'tfx-export[litert]'",
            )


DEFAULT_EXTRAS = Extras()


def finish(
    folder: Path,
    extras: Extras,
    ask: Callable[[str, Any], Any],
    *,
    tags: Sequence[str],
    source: Source | None,
    spec: dict[str, Any],
    report: Callable[[str], None],
    worker: "WorkerProcess | None" = None,
) -> ExportRecord:
    """Do what `extras` asks for to the SavedModel written into `folder`, and leave the record of it there.

    `ask` gives the source's own answers: `ask(signature, inputs)`, both by the client's names. `worker` verifies.
    Raises VerificationError if the export does not compute what its source computes, SpecError for a file that does
    not fit.
    """
    from tfx_export.exporting import accelerate, warmup
    from tfx_export.exporting.verification import verify
    from tfx_export.exporting.verification.loaded_model import SessionModel

    signatures = verify.callable_signatures(folder, tags)
    verification, accelerated, asked = None, None, {}
    with ExitStack() as stack, translate_os_errors(folder.parent):
        if not extras.verify:  # then the written model itself says what its probes are answered with
            ask = stack.enter_context(SessionModel(folder, tags)).ask if extras.warmup or extras.accelerate else ask
        else:
            report("Verifying in a fresh process")
        if extras.verify or extras.accelerate or (extras.warmup and not extras.warmup_from):
            asked = verify.ask_source(folder, signatures, ask, tags=tags, probe=extras.probe)
        if extras.verify:
            verification = verify.verify(folder, asked, signatures, tags=tags, worker=worker)
        if extras.warmup or extras.warmup_from:
            report("Replaying the warmup requests")
            logs = (
                warmup.read(extras.warmup_from, signatures, extras.warmup)
                if extras.warmup_from
                else warmup.from_probes(asked, signatures, extras.warmup or 0)
            )
            warmup.write(folder, logs, signatures, tags=tags)
        if extras.accelerate:
            report("Converting to LiteRT and comparing")
            accelerated = accelerate.accelerate(
                folder, asked, precision=extras.accelerate, tags=tags, calibrate=extras.probe is not None
            )
        written = ExportRecord(
            tool=version("tfx-export"),
            created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            source=source,
            libraries=_libraries(),
            spec=spec,
            verification=verification,
            accelerated=accelerated,
        )
        export_record.write(folder, written)
    return written


def _libraries() -> dict[str, str]:
    found = {"python": python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
