"""`tfx-export status`: shows the versions of a model on a server."""

import json
import sys
from typing import Any

import click

from tfx_export.cli.connection import Connection, chosen_model, connection_options


@click.command("status")
@click.argument("model")
@connection_options
@click.option("--rest", is_flag=True, help="Use REST; --server is the REST port.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: str, rest: bool, as_json: bool, **connection: Any) -> None:
    """Show the versions of a model on a running server and their states.

    \b
    tfx-export status mnist --server localhost:8500
    tfx-export status mnist --server localhost:8501 --rest

    Exit code: 0 if a version is AVAILABLE, 6 if no version is, or if the server does not answer.
    """
    versions = _versions(Connection(**connection), model, rest)
    if as_json:
        click.echo(json.dumps({"model": model, "versions": versions}, indent=2))
    else:
        for version in versions:
            click.echo(f"{model}/{version['version']}  {version['state']}  {version['error']}".rstrip())
    if not any(version["state"] == "AVAILABLE" for version in versions):
        from tfx_export.client import ServerError

        sys.exit(ServerError.exit_code)


def _versions(connection: Connection, name: str, rest: bool) -> list[dict[str, object]]:
    model = chosen_model(name, None, None)
    if rest:
        return [
            {
                "version": int(version["version"]),
                "state": version["state"],
                "error": version.get("status", {}).get("error_message", ""),
            }
            for version in connection.rest().status(model)
        ]
    with connection.grpc() as client:
        return [
            {"version": version.version, "state": version.state, "error": version.error}
            for version in client.status(model)
        ]
