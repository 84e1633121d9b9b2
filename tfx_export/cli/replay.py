"""`tfx-export replay`: do yesterday's requests get yesterday's answers?"""

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

# So many differences are printed; all of them are counted.
SHOWN = 10


@click.command("replay")
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=click.Path(path_type=Path))
@connection_options
@model_options
@click.option("--model", help="Ask this model instead of the one in the log.")
@click.option("--tolerance", type=float, help="Largest relative error of floats; by dtype if not given (float: 1e-4).")
@click.option("--limit", type=int, help="Stop after so many records.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
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
    """Send logged requests to a server again and compare the answers.

    \b
    tfx-export replay /var/log/serving/mnist-*.tfrecord --server localhost:8500
    tfx-export replay requests.tfrecord --server localhost:8500 --label canary

    LOG is a TFRecord file of PredictionLogs: a request log or a warmup file. The newest version is asked, unless
    --version or --label names another; not the one that answered then. Records without an answer are sent, not
    compared.

    Exit code 0 if every answer is the logged one, 5 if one differs or was refused, 2 if a log cannot be read, 6 if no
    server answers.
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
        raise SourceError(f"{', '.join(map(str, logs))}: no request in it.")
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
            raise SourceError(f"{path} holds records that are no PredictionLog.") from None
        except RecordError as error:
            raise SourceError(str(error)) from None
