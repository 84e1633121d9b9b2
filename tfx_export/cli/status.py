"""`tfx-export status`: shows the versions of a model on a server."""

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from tfx_export.cli.connection import Connection, chosen_model, connection_options

if TYPE_CHECKING:
    from tfx_export.client import Client, Model
    from tfx_export.client.calls import LoadReport
    from tfx_export.client.rest import RestClient

_STYLES = {"AVAILABLE": "green", "START": "yellow", "LOADING": "yellow", "UNLOADING": "yellow"}


@dataclass(frozen=True)
class _Version:
    """A version and its state. `load_report` is None if it is not loaded, and for TensorFlow Serving."""

    version: int
    state: str
    error: str
    load_report: "LoadReport | None"


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

    For each loaded version it shows the engine, the memory, and how long it took to load and to prepare; it says why if
    a version is served as it is. TensorFlow Serving does not provide these.

    Exit code: 0 if a version is AVAILABLE, 6 if no version is, or if the server does not answer.
    """
    versions = _versions(Connection(**connection), model, rest)
    if as_json:
        click.echo(json.dumps({"model": model, "versions": [_as_dict(version) for version in versions]}, indent=2))
    elif sys.stdout.isatty():
        _print_table(model, versions)
    else:
        for version in versions:
            text = version.error or _sentence(version.load_report)
            click.echo(f"{model}/{version.version}  {version.state}  {text}".rstrip())
    if not any(version.state == "AVAILABLE" for version in versions):
        from tfx_export.client import ServerError

        sys.exit(ServerError.exit_code)


def _versions(connection: Connection, name: str, rest: bool) -> list[_Version]:
    model = chosen_model(name, None, None)
    if rest:
        return _versions_over_rest(connection.rest(), model)
    with connection.grpc() as client:
        return [
            _Version(each.version, each.state, each.error, _load_report(client, name, each.version, each.state))
            for each in client.status(model)
        ]


def _load_report(client: "Client", name: str, version: int, state: str) -> "LoadReport | None":
    from tfx_export.client import Model, ServerError

    if state == "AVAILABLE":
        # TensorFlow Serving has none, and the version may have been replaced in the meantime.
        with contextlib.suppress(ServerError):
            return client.load_report(Model(name, version)) or None
    return None


def _versions_over_rest(client: "RestClient", model: "Model") -> list[_Version]:
    from tfx_export.client.rest import RestError

    versions = client.status(model)
    reports: dict[int, LoadReport] = {}
    with contextlib.suppress(RestError):  # TensorFlow Serving has none
        reports = client.load_reports(model.name)
    return [
        _Version(
            int(version["version"]),
            version["state"],
            version.get("status", {}).get("error_message", ""),
            reports.get(int(version["version"])),
        )
        for version in versions
    ]


def _as_dict(version: _Version) -> dict[str, object]:
    members: dict[str, object] = {"version": version.version, "state": version.state, "error": version.error}
    if version.load_report:
        members["load_report"] = dict(sorted(version.load_report.items()))
    return members


def _print_table(model: str, versions: Sequence[_Version]) -> None:
    """Prints one row per version, and below the table why versions failed or are served as they are."""
    reported = any(version.load_report for version in versions)
    table = Table(box=None, pad_edge=False)
    table.add_column("version", justify="right")
    table.add_column("state", no_wrap=True)
    if reported:
        table.add_column("engine")
        for heading in ("memory", "mapped", "load", "prepare"):
            table.add_column(heading, justify="right", no_wrap=True)
    for version in versions:
        cells = _cells(version.load_report) if version.load_report else ()
        state = Text(version.state, _STYLES.get(version.state, "red" if version.error else ""))
        table.add_row(Text(f"{model}/{version.version}"), state, *map(Text, cells))
    console = Console(highlight=False)
    console.print(table)
    for version in versions:
        reason = version.load_report.get("reason") if version.load_report else ""
        if version.error:
            console.print(Text(f"\n{model}/{version.version}: {version.error}", "red"))
        elif reason:
            text = f"\n{model}/{version.version} is served as it is, which is slower: {reason}"
            console.print(Text(text, "yellow"))


def _cells(report: "LoadReport") -> tuple[str, ...]:
    preparation = str(report["preparation"])
    prepared = {"found prepared": "found", "served as it is": "as it is", "not needed": "-"}
    return (
        str(report["engine"]),
        _size(report["memory_bytes"]),
        _size(report["mapped_bytes"]) if report["mapped_bytes"] else "-",
        _seconds(report["load_seconds"]),
        prepared.get(preparation) or _seconds(report.get("prepare_seconds", 0)),
    )


def _sentence(report: "LoadReport | None") -> str:
    """Returns `tensorflow, 371.0 MB, loaded in 0.4 s (found prepared)`; empty without a report."""
    if not report:
        return ""
    preparation = str(report["preparation"])
    endings = {
        "prepared": f" ({_seconds(report.get('prepare_seconds', 0))} to prepare)",
        "found prepared": " (found prepared)",
        "served as it is": f", served as it is, which is slower: {report.get('reason')}",
    }
    return (
        f"{report['engine']}, {_size(report['memory_bytes'])}, loaded in {_seconds(report['load_seconds'])}"
        f"{endings.get(preparation, '')}"
    )


def _size(value: str | float) -> str:
    # An estimate of less says nothing.
    return decimal(int(value)) if int(value) >= 1_000_000 else "< 1 MB"


def _seconds(value: str | float) -> str:
    seconds = float(value)
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
