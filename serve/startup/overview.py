"""Overview: the addresses and models of a started server, as the start-up table and the ready file."""

import json
import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from serve.config import Config


@dataclass(frozen=True)
class ServedVersion:
    """An available version. `signatures` maps a signature to its inputs, and an input to its dtype and shape.

    `verb` and `example` are the verb and the body of a REST request that works; empty if the body is too long to type.
    """

    name: str
    version: int
    engine: str
    signatures: dict[str, dict[str, str]]
    verb: str = ""
    example: str = ""


@dataclass(frozen=True)
class Overview:
    """`addresses` maps "grpc" to "127.0.0.1:8500" and "rest" to "http://127.0.0.1:8501", if they are open.

    `curl` is the command with the options that TLS and tokens need.
    """

    addresses: dict[str, str]
    versions: tuple[ServedVersion, ...]
    notes: tuple[str, ...] = ()
    curl: str = "curl"

    def text(self) -> str:
        """Returns the start-up table."""
        lines = [f"{protocol:<8}{address}" for protocol, address in self.addresses.items()]
        if not self.versions:
            lines.append("model   no models yet")
        for version in self.versions:
            lines.append(f"model   {version.name} version {version.version}, engine {version.engine}")
            for name, inputs in version.signatures.items():
                lines.append(f"          {name}: {', '.join(f'{each} {spec}' for each, spec in inputs.items())}")
        if "rest" in self.addresses and self.versions:
            lines.append(f"try     {self._curl(self.versions[0])}")
        return "\n".join(lines)

    def write(self, file: Path) -> None:
        """Writes the ready file, atomically because programs wait for it."""
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.write_text(json.dumps({"pid": os.getpid(), **asdict(self)}))
        partial.rename(file)

    def _curl(self, version: ServedVersion) -> str:
        model = f"{self.addresses['rest']}/v1/models/{quote(version.name, safe='')}"
        if version.example:
            return f"{self.curl} -d {shlex.quote(version.example)} {model}:{version.verb}"
        return f"{self.curl} {model}/metadata"


def curl_command(config: Config) -> str:
    """Returns `curl` with options for the REST port of `config`: it may have its own certificate and need a token."""
    uses_tls = bool(config.ssl_config_file if config.one_port else config.rest_ssl_config_file)
    command = "curl --insecure" if uses_tls else "curl"
    if config.auth_token_file:
        file = shlex.quote(str(Path(config.auth_token_file).absolute()))
        command += f" -H \"Authorization: Bearer $(grep -m 1 '^[^#]' {file})\""
    return command


def join_host_port(host: str, port: int) -> str:
    """Returns `127.0.0.1:8500` or `[::1]:8500`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
