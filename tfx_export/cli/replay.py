"""`tfx-export replay`: compares the responses of a server with logged ones."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfx_export.cli.connection import Connection, chosen_model, connection_options, model_options
from tfx_export.errors import SourceError, VerificationError

if TYPE_CHECKING:
    from tfx_export import wire
    from tfx_export.client import Model
    from tfx_export.client.replay import ReplayedRequest

# At most this many differences are printed; all are counted.
SHOWN = 10


@click.command("replay")
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=click.Path(path_type=Path))
@connection_options
@model_options
@click.option("--model", help="Model to call.  [default: the one in the log]")
@click.option("--tolerance", type=float, help="Largest relative error of floats.  [default: by dtype, 1e-4 for float]")
@click.option("--limit", type=int, help="Stop after this number of records.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    logs: tuple[Path, ...],
    version: int | None,
    label: str | None,
    model: str | None,
    tolerance: float | None,
    limit: int | None,
    as_json: bool,
    **connection: Any,
) -> None:
    """Send logged requests to a server again and compare the responses.

    \b
    tfx-export replay /var/log/serving/mnist-*.tfrecord --server localhost:8500
    tfx-export replay requests.tfrecord --server localhost:8500 --label canary

    LOG is a TFRecord file of PredictionLogs: a request log or a warmup file. Requests go to the newest version, or to
    the one that --version or --label names, not to the version in the log. Records without a response are sent, but
    not compared.

    Exit code: 0 if all responses equal the logged ones, 5 if one differs or a request is refused, 2 if a log cannot be
    read, 6 if the server does not answer.
    """
    from tfx_export.cli.replay_report import Report
    from tfx_export.client.replay import replay

    chosen = chosen_model(model or "", version, label)

    def target(logged: "Model") -> "Model":
        return replace(chosen, name=model or logged.name, signature=logged.signature)

    report = Report(tolerance)
    with Connection(**connection).grpc() as client:
        replayed: Iterator[ReplayedRequest] = replay(islice(_records(logs), limit), client, target)
        for each in replayed:
            for line in report.add(each):
                if not as_json and report.problems <= SHOWN:
                    click.echo(line, err=True)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        click.echo(report.summary())
    if report.requests == 0:
        raise SourceError(f"No requests in {', '.join(map(str, logs))}.")
    if report.problems:
        sys.exit(VerificationError.exit_code)


def _records(logs: tuple[Path, ...]) -> Iterator["wire.PredictionLog"]:
    from google.protobuf.message import DecodeError

    from tfx_export import wire
    from tfx_export.wire.tfrecord import RecordError, read_records

    for path in logs:
        try:
            for record in read_records(path):
                yield wire.PredictionLog.FromString(record)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from None
        except DecodeError:
            raise SourceError(f"{path} holds records that are not PredictionLogs.") from None
        except RecordError as error:
            raise SourceError(str(error)) from None
