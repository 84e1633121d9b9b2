"""Options of commands that call a server: its address, TLS, token, timeout, and the version of the model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from tfx_export.errors import SpecError
from tfx_export.savedmodel.version_folders import LARGEST_VERSION

if TYPE_CHECKING:
    from tfx_export.client import Client, Model
    from tfx_export.client.rest import RestClient

Function = TypeVar("Function", bound=Callable[..., object])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class Connection:
    """How to reach a server: the values of `connection_options`."""

    server: str
    ca: Path | None
    cert: Path | None
    key: Path | None
    tls: bool
    token_file: Path | None
    timeout: float

    def grpc(self) -> "Client":
        """Returns a client for its gRPC port."""
        from tfx_export.client import Client

        credentials = None
        if self._secure:
            import grpc

            credentials = grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.cert))
        return Client(self.server, credentials=credentials, token=self._token, timeout=self.timeout)

    def rest(self) -> "RestClient":
        """Returns a client for its REST port."""
        from tfx_export.client.rest import RestClient

        context = None
        if self._secure:
            import ssl

            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        return RestClient(self.server, tls=context, token=self._token, timeout=self.timeout)

    @property
    def _secure(self) -> bool:
        return bool(self.tls or self.ca or self.cert)

    @property
    def _token(self) -> str | None:
        if self.token_file is None:
            return None
        lines = self.token_file.read_text(encoding="utf-8").split()
        if not lines:
            raise SpecError(f"{self.token_file} is empty: it should hold a token.")
        return lines[0]


def connection_options(function: Function) -> Function:
    """Adds `--server`, TLS, token and timeout options to a command. `Connection(**values)` takes their values."""
    for option in (
        click.option(
            "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for each response."
        ),
        click.option("--token-file", type=FILE, help="Send the first word of this file as a bearer token."),
        click.option("--key", type=FILE, help="Private key of the client (PEM)."),
        click.option("--cert", type=FILE, help="Certificate of the client (PEM), for servers that verify clients."),
        click.option("--ca", type=FILE, help="Use TLS and trust this CA (PEM)."),
        click.option("--tls", is_flag=True, help="Use TLS and trust the CAs of the system."),
        click.option(
            "--server",
            metavar="HOST:PORT",
            required=True,
            help="Address of the gRPC port; with --rest, of the REST port.",
        ),
    ):
        function = option(function)
    return function


def model_options(function: Function) -> Function:
    """Adds `--version` and `--label`."""
    for option in (
        click.option("--label", help="Label of the version to call."),
        click.option("--version", type=click.IntRange(0, LARGEST_VERSION), help="Version to call.  [default: newest]"),
    ):
        function = option(function)
    return function


def chosen_model(name: str, version: int | None, label: str | None, signature: str = "") -> "Model":
    """Returns the model that the arguments and options name."""
    from tfx_export.client import Model
    from tfx_export.savedmodel.signature import DEFAULT_SIGNATURE

    if version is not None and label is not None:
        raise click.UsageError("Give either --version or --label, not both.")
    return Model(name, version, label, signature or DEFAULT_SIGNATURE)


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None
