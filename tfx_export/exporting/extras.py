"""What an export does beyond writing: prove it, warm it up, accelerate it. Options and order; the work is elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from tfx_export.errors import SpecError
from tfx_export.savedmodel import record
from tfx_export.savedmodel.publish import refusals
from tfx_export.savedmodel.record import Record, Source

_LIBRARIES = ("tensorflow", "keras", "tf_keras", "numpy", "ai-edge-litert")


@dataclass(frozen=True)
class Extras:
    """`verify` compares the export with its source, on the inputs in the .npz file `probe` or on generated ones."""

    verify: bool = True
    probe: Path | None = None

    def check(self) -> None:
        """Raise now the SpecError that would come up after the model has been written."""
        if self.probe and not self.probe.is_file():
            raise SpecError(
                f"There is no probe file {self.probe}.", hint="Write one with numpy.savez(path, input=array)."
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
) -> Record:
    """Do what `extras` asks for to the SavedModel written into `folder`, and leave the record of it there.

    `ask` gives the source's own answers: `ask(signature, inputs)`, both by the client's names.
    Raises VerificationError if the export does not compute what its source computes.
    """
    verification = None
    if extras.verify:
        report("Verifying in a fresh process")
        from tfx_export.exporting.verify import verify

        verification = verify(folder, ask, tags=tags, probe=extras.probe)
    written = Record(
        tool=version("tfx-export"),
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        source=source,
        libraries=_libraries(),
        spec=spec,
        verification=verification,
    )
    with refusals(folder.parent):
        record.write(folder, written)
    return written


def _libraries() -> dict[str, str]:
    found = {"python": python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
