"""The export record, `assets.extra/tfx_export.json`: the origin of a version, and the results of its verification.

{
  "tool": "0.1.0",                                   the version of tfx-export that wrote it
  "created": "2026-11-21T09:30:00Z",
  "source": {"kind": "keras", "file": "model.h5", "sha256": "..."},
  "libraries": {"python": "3.11.9", "tensorflow": "2.21.0", ...},
  "spec": {...},                                     the export spec
  "verification": {"probe": "generated", "checks": [{"signature": ..., "output": ..., "verdict": "equal", ...}]},
  "accelerated": {"file": "model.tflite", "sha256": "...", "precision": "float32", "of": {"saved_model.pb": "..."},
                  "signatures": [...], "left_out": {"signature": "reason"}, "checks": [...]}
}
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from tfx_export.errors import SavedModelError

RECORD_FILE = "assets.extra/tfx_export.json"
TFLITE = "model.tflite"

Verdict = Literal["equal", "unproven", "random", "differs"]

# Precisions of the weights in an accelerated model.
Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")

Part = TypeVar("Part")


@dataclass(frozen=True)
class Check:
    """The comparison of one output of one signature with the expected values.

    `error` is relative to the largest expected value (for floats) or the fraction of differing elements (for other
    dtypes); it is None if nothing could be compared. The verdict `unproven` means that nothing differs, but that the
    outputs depend too little on the probe inputs to prove anything; `random` that the source gives other values each
    time it runs, so that only dtype and rank can be compared. `note` says why.
    """

    signature: str
    output: str
    dtype: str
    verdict: Verdict
    error: float | None
    tolerance: float
    note: str = ""


def signature_verdict(checks: Iterable[Check], signature: str) -> Verdict:
    """Returns `differs` or `random` if any output of the signature is, `equal` if at least one is, else `unproven`."""
    verdicts = {check.verdict for check in checks if check.signature == signature}
    order: tuple[Verdict, ...] = ("differs", "random", "equal")
    return next((verdict for verdict in order if verdict in verdicts), "unproven")


def describe(check: Check) -> str:
    """Returns the result of a check as text: `relative error 0.31, tolerance 0.0001`."""
    if check.error is None:
        return check.note
    kind = "relative error" if check.tolerance else "share of differing values"
    if check.verdict == "unproven" and not check.error and check.note:
        return check.note
    text = f"{kind} {check.error:.2g}, tolerance {check.tolerance:g}"
    return f"{text} ({check.note})" if check.note else text


@dataclass(frozen=True)
class Source:
    """The exported file or folder: its kind (`keras`, `session`, ...), its name without path, and its SHA-256."""

    kind: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Verification:
    """The comparison of an export with its source: where the probe inputs came from, and one check for each output."""

    probe: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Accelerated:
    """A converted model next to saved_model.pb, and the checks that prove that it computes the same as the SavedModel.

    `sha256` is the hash of the converted file; `of` maps the files of the SavedModel to their hashes. `left_out` maps
    the signatures that were not converted to the reasons.
    """

    sha256: str
    precision: str
    of: Mapping[str, str]
    signatures: tuple[str, ...]
    left_out: Mapping[str, str]
    checks: tuple[Check, ...]
    file: str = TFLITE


@dataclass(frozen=True)
class ExportRecord:
    """The content of `assets.extra/tfx_export.json`."""

    tool: str
    created: str
    source: Source | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, object] = field(default_factory=dict)
    verification: Verification | None = None
    accelerated: Accelerated | None = None


def write(folder: Path, record: ExportRecord) -> None:
    """Writes `record` to the SavedModel in `folder`; replaces an old record atomically."""
    path = folder / RECORD_FILE
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(record), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(path)


def read(folder: Path) -> ExportRecord | None:
    """Returns the record of the SavedModel in `folder`, or None if it has none. Raises SavedModelError if invalid."""
    path = folder / RECORD_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return ExportRecord(
            **{
                **values,
                "source": _from_json(Source, values["source"]),
                "verification": _from_json(Verification, values["verification"]),
                "accelerated": _from_json(Accelerated, values["accelerated"]),
            }
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SavedModelError(f"{path} is not a valid record of an export: {error!r}") from None


def proven_signatures(folder: Path) -> tuple[str, ...]:
    """Returns the signatures for which `model.tflite` in `folder` was proven equal to the SavedModel next to it.

    Empty if there is no record of such a proof, or if one of the files has changed since.
    """
    try:
        record = read(folder)
    except SavedModelError:
        return ()
    accelerated = record.accelerated if record else None
    if accelerated is None:
        return ()
    files = {accelerated.file: accelerated.sha256, **accelerated.of}
    if not all((folder / name).is_file() and sha256(folder / name) == digest for name, digest in files.items()):
        return ()
    return tuple(name for name in accelerated.signatures if signature_verdict(accelerated.checks, name) == "equal")


def file_hashes(folder: Path) -> dict[str, str]:
    """Returns the SHA-256, by file name, of the files that identify a SavedModel.

    The weights are not read: the index of the variables holds a checksum of every tensor.
    """
    names = ("saved_model.pb", "saved_model.pbtxt", "variables/variables.index")
    return {name: sha256(folder / name) for name in names if (folder / name).is_file()}


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, or of the names and contents of all files in a folder, in hexadecimal."""
    if path.is_dir():
        files = sorted(child for child in path.rglob("*") if child.is_file())
        listing = "".join(f"{sha256(child)} {child.relative_to(path).as_posix()}\n" for child in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _from_json(cls: type[Part], values: dict[str, Any] | None) -> Part | None:
    if values is None:
        return None
    parts = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    if "checks" in parts:
        parts["checks"] = tuple(Check(**check) for check in values["checks"])
    return cls(**parts)
