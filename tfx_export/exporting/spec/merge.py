"""Merges the spec file, flags and arguments of an export into one ExportSpec.

- Signatures come from a spec file or from flags (`SignatureFlags`), never from both.
- A flag about the whole SavedModel overrides the spec file: default, tags, devices, default attributes.
- `--assets` adds to the assets of the file; text is written if `--as-text` or the file says so.
- Renamed inputs and outputs come from flags and arguments only; an argument overrides the spec.
- Otherwise the defaults of `model.py` apply: the signatures of a SavedModel, or one Predict signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tfx_export.errors import SpecError
from tfx_export.exporting.spec.from_flags import SignatureFlags
from tfx_export.exporting.spec.from_yaml import read_spec
from tfx_export.exporting.spec.model import ExportSpec


@dataclass(frozen=True)
class ExportFlags:
    """Flags of an export command about the whole SavedModel; None or empty where a flag was not given."""

    default: str | None = None
    tags: tuple[str, ...] = ()
    assets: tuple[Path, ...] = ()
    as_text: bool = False
    clear_devices: bool | None = None
    strip_default_attrs: bool | None = None
    input_names: Mapping[str, str] = field(default_factory=dict)
    output_names: Mapping[str, str] = field(default_factory=dict)


def spec_from_command(
    spec_file: Path | None, signature_flags: SignatureFlags, flags: ExportFlags = ExportFlags()
) -> ExportSpec:
    """Returns the spec of a command line. Raises SpecError if it is wrong, or both sources describe signatures."""
    spec = _signatures(spec_file, signature_flags)
    overrides: dict[str, Any] = {
        "default": flags.default,
        "tags": flags.tags or None,
        "clear_devices": flags.clear_devices,
        "strip_default_attrs": flags.strip_default_attrs,
    }
    return replace(
        spec,
        assets=spec.assets + flags.assets,
        as_text=spec.as_text or flags.as_text,
        input_names=flags.input_names,
        output_names=flags.output_names,
        **{key: value for key, value in overrides.items() if value is not None},
    )


def spec_from_arguments(
    spec: ExportSpec | str | Path | None,
    input_names: Mapping[str, str] = MappingProxyType({}),
    output_names: Mapping[str, str] = MappingProxyType({}),
) -> ExportSpec:
    """Returns the spec of an API call: `spec` itself, the one in the file of that path, or the default for None."""
    read = read_spec(Path(spec)) if isinstance(spec, str | Path) else spec or ExportSpec()
    return replace(
        read,
        input_names={**read.input_names, **input_names},
        output_names={**read.output_names, **output_names},
    )


def _signatures(spec_file: Path | None, flags: SignatureFlags) -> ExportSpec:
    if spec_file is None:
        return flags.spec()
    if flags != SignatureFlags():
        raise SpecError(
            f"Signatures come from {spec_file} or from flags, not from both.",
            hint="Remove --signature, --labels, --top-k and --image-*, and describe the signatures in the file.",
        )
    return read_spec(spec_file)
