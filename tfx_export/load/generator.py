"""Load: how many answers a server gives in a second, and how long each takes. Runs as a process of its own."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tfx_export.errors import TfxExportError
from tfx_export.load.http1 import Http1Connection
from tfx_export.load.http2 import Http2Connection

# How long the first answer may take.
FIRST_SECONDS = 30.0
PREDICT = "/tensorflow.serving.PredictionService/Predict"


class LoadError(TfxExportError):
    """A server under load gave no answers that could be measured."""

    exit_code = 6


@dataclass(frozen=True)
class Load:
    """What is asked of whom: `protocol` grpc or rest, `address` host:port, `body` a file with the request's message.

    `connections` with `in_flight` requests each; rest has one in flight on a connection.
    """

    protocol: str
    address: str
    path: str
    body: str
    connections: int = 4
    in_flight: int = 8
    seconds: float = 3.0


@dataclass(frozen=True)
class Measured:
    """Answers a second, milliseconds, and how many were no answers but failures."""

    rate: float
    median_ms: float
    p99_ms: float
    failures: int


def measure(load: Load) -> Measured:
    """Put `load` on a server. Raises LoadError if it cannot be reached, or answers nothing."""
    command = [sys.executable, "-m", "tfx_export.load.generator", json.dumps(asdict(load))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LoadError(f"No load on {load.address}: {done.stderr.strip().splitlines()[-1]}")
    return Measured(**json.loads(done.stdout))


async def _measure(load: Load) -> Measured:
    body = Path(load.body).read_bytes()
    host, _, port = load.address.rpartition(":")
    seconds: list[float] = []
    failures = 0
    counting = False
    # A server may prepare what it runs when it is first asked: that is no part of any measurement.
    first = asyncio.Event()

    def answered(took: float, good: bool) -> None:
        nonlocal failures
        first.set()
        if counting:
            if good:
                seconds.append(took)
            else:
                failures += 1

    def connection() -> Http1Connection | Http2Connection:
        if load.protocol == "grpc":
            return Http2Connection(load.path, body, load.in_flight, answered)
        return Http1Connection(load.path, body, answered)

    loop = asyncio.get_running_loop()
    open_ones = [(await loop.create_connection(connection, host, int(port)))[1] for _ in range(load.connections)]
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(first.wait(), FIRST_SECONDS)
    await asyncio.sleep(load.seconds / 4)
    counting, began = True, time.perf_counter()
    await asyncio.sleep(load.seconds)
    counting, elapsed = False, time.perf_counter() - began
    for each in open_ones:
        each.stop()
    await asyncio.gather(*(each.closed for each in open_ones))
    if not seconds:
        raise RuntimeError(f"{failures} requests failed, none was answered")
    seconds.sort()
    p99 = seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]
    return Measured(len(seconds) / elapsed, 1e3 * seconds[len(seconds) // 2], 1e3 * p99, failures)


def main() -> None:
    runner: Callable[..., Measured] = asyncio.run
    with contextlib.suppress(ImportError):
        import uvloop

        runner = uvloop.run
    print(json.dumps(asdict(runner(_measure(Load(**json.loads(sys.argv[1])))))))  # noqa: T201


if __name__ == "__main__":
    main()
