"""Overview: what a started server offers, for the people and programs that wait for it."""

import json
import os
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

from tfx_export.savedmodel.signature import Signature

# What still fits on a line.
MAX_EXAMPLE_ELEMENTS = 16

_ZEROS: dict[str, object] = {"DT_STRING": "", "DT_BOOL": False, "DT_FLOAT": 0.0, "DT_DOUBLE": 0.0, "DT_HALF": 0.0}


@dataclass(frozen=True)
class ServedVersion:
    """One version that serves; `signatures` by name, each with the names of its inputs and their dtypes and shapes.

    `example` is the body of a REST predict request that it answers; empty if that would be too long to type.
    """

    name: str
    version: int
    engine: str
    signatures: dict[str, dict[str, str]]
    example: str = ""


@dataclass(frozen=True)
class Overview:
    """`addresses`: "grpc" -> "127.0.0.1:8500", "rest" -> "http://127.0.0.1:8501", as far as each is open."""

    addresses: dict[str, str]
    versions: tuple[ServedVersion, ...]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """The start-up table."""
        lines = [f"{protocol:<8}{address}" for protocol, address in self.addresses.items()]
        for version in self.versions:
            lines.append(f"model   {version.name} version {version.version}, engine {version.engine}")
            for name, inputs in version.signatures.items():
                lines.append(f"          {name}: {', '.join(f'{each} {spec}' for each, spec in inputs.items())}")
        if "rest" in self.addresses and self.versions:
            lines.append(f"try     {self._curl(self.versions[0])}")
        return "\n".join(lines)

    def write(self, file: Path) -> None:
        """Put it where a program waits for it, whole or not at all."""
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.write_text(json.dumps({"pid": os.getpid(), **asdict(self)}))
        partial.rename(file)

    def _curl(self, version: ServedVersion) -> str:
        model = f"{self.addresses['rest']}/v1/models/{version.name}"
        if version.example:
            return f"curl -d '{version.example}' {model}:predict"
        return f"curl {model}/metadata"


def predict_example(signature: Signature | None) -> str:
    """A request of zeros, one row each, as JSON; empty if `signature` is none or has large or unknown inputs."""
    if signature is None or not signature.inputs:
        return ""
    inputs = {}
    for name, spec in signature.inputs.items():
        sizes = [1 if size is None else size for size in spec.shape or ()]
        if spec.shape is None or prod(sizes) > MAX_EXAMPLE_ELEMENTS:
            return ""
        value: object = _ZEROS.get(spec.dtype, 0)
        for size in reversed(sizes):
            value = [value] * size
        inputs[name] = value
    return json.dumps({"inputs": inputs})
