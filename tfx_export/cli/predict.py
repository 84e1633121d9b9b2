"""`tfx-export predict`: sends a request to a server and prints the response as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from tfx_export.cli.connection import Connection, chosen_model, connection_options, model_options
from tfx_export.errors import SpecError
from tfx_export.json_value import JsonValue


@click.command("predict")
@click.argument("model")
@connection_options
@model_options
@click.option("--signature", default="", help="Signature to call.  [default: serving_default]")
@click.option(
    "--inputs",
    "inputs",
    multiple=True,
    metavar="NAME=FILE",
    help="Input from a .npy file or FILE.npz[KEY] (repeatable).",
)
@click.option("--instances", metavar="FILE", help="Rows from a JSON file in the format of REST; - reads stdin.")
@click.option("--rest", is_flag=True, help="Use REST; --server is the REST port.")
def command(
    model: str,
    version: int | None,
    label: str | None,
    signature: str,
    inputs: tuple[str, ...],
    instances: str | None,
    rest: bool,
    **connection: Any,
) -> None:
    """Send inputs to a running server and print its predictions.

    \b
    tfx-export predict mnist --server localhost:8500 --inputs image=digit.npy
    tfx-export predict mnist --server localhost:8500 --instances rows.json
    echo '[[1.0, 2.0]]' | tfx-export predict mnist --server localhost:8501 --rest --instances -

    Prints {"outputs": {NAME: values}} for --inputs, and {"predictions": rows} for --instances. The exit code is 6 if
    the server refuses the request or does not answer.
    """
    if bool(inputs) == (instances is not None):
        raise click.UsageError("Give either --inputs NAME=FILE or --instances FILE.")
    from tfx_export.cli.predict_requests import predict_arrays, predict_rows

    chosen = chosen_model(model, version, label, signature)
    server = Connection(**connection)
    if inputs:
        answer = predict_arrays(server, chosen, dict(_pair(each) for each in inputs), rest)
    else:
        assert instances is not None
        answer = predict_rows(server, chosen, _rows(instances), rest)
    click.echo(json.dumps(answer))


def _pair(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not equals or not name or not file:
        raise click.UsageError(f"--inputs takes NAME=FILE, not {text}. For example: --inputs image=digit.npy")
    return name, file


def _rows(file: str) -> list[JsonValue]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        rows = json.loads(text)
    except OSError as error:
        raise SpecError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise SpecError(f"{file} is not JSON: {error}") from None
    if isinstance(rows, dict):
        rows = rows.get("instances")
    if not isinstance(rows, list) or not rows:
        raise SpecError(f"{file} should hold a list of rows, or an object with a list under `instances`.")
    return rows
