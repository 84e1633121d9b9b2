"""Overview: what a started server offers, for the people and programs that wait for it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServedVersion:
    """One version that serves; `signatures` by name, each with the names of its inputs and their dtypes and shapes.

    `example` is the body of a REST request that it answers, `verb` the request's; empty if that is too long to type.
    """

    name: str
    version: int
    engine: str
    signatures: dict[str, dict[str, str]]
    verb: str = ""
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
            return f"curl -d '{version.example}' {model}:{version.verb}"
        return f"curl {model}/metadata"


def join_host_port(host: str, port: int) -> str:
    """Returns `127.0.0.1:8500` or `[::1]:8500`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
