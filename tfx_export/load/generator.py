"""The load generator: sends requests in a closed loop from a separate process, and measures the responses."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Literal

from tfx_export.errors import TfxExportError
from tfx_export.load.http1 import Http1Connection
from tfx_export.load.http2 import Http2Connection

PREDICT = "/tensorflow.serving.PredictionService/Predict"
# Limit for the first response, and for the first one that counts.
RESPONSE_SECONDS = 30.0
# The unmeasured time before the measurement, as a fraction of the measured time.
WARMUP = 0.25


class LoadError(TfxExportError):
    """A server under load gave no answers that could be measured."""

    exit_code = 6


@dataclass(frozen=True)
class Load:
    """The requests to send, and where.

    `address`: `host:port`. `path`: of the gRPC method or of the URL. `messages`: serialized requests or JSON bodies,
    sent in turn. `clients`: the number of requests in flight, spread over at most `connections` connections; over REST
    each client has its own connection. `seconds`: the measured time.
    """

    protocol: Literal["grpc", "rest"]
    address: str
    path: str
    messages: tuple[bytes, ...]
    clients: int = 32
    connections: int = 4
    seconds: float = 3.0


@dataclass(frozen=True)
class Measurement:
    """What the clients saw. Latencies run from sending a request to the end of its response."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    failures: int = 0


def measure(load: Load) -> Measurement:
    """Puts `load` on a server. Raises LoadError if the server cannot be reached, or if no request succeeds."""
    header = asdict(load) | {"messages": [len(message) for message in load.messages]}
    done = subprocess.run(
        [sys.executable, "-m", "tfx_export.load.generator"],
        input=b"".join((json.dumps(header).encode(), b"\n", *load.messages)),
        capture_output=True,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1]
        raise LoadError(f"The load test of {load.address} failed: {reason}")
    return Measurement(**json.loads(done.stdout))


def main() -> None:
    """Reads the load that `measure` writes, and prints the measurement as JSON."""
    load = Load(**json.loads(sys.stdin.buffer.readline()))
    load = replace(load, messages=tuple(sys.stdin.buffer.read(int(size)) for size in load.messages))
    run: Callable[..., Measurement] = asyncio.run
    with contextlib.suppress(ImportError):
        import uvloop

        run = uvloop.run
    print(json.dumps(asdict(run(_measure(load)))))  # noqa: T201


async def _measure(load: Load) -> Measurement:
    latencies: list[float] = []
    failures = 0
    counting = False
    response = asyncio.Event()

    def on_response(seconds: float, succeeded: bool) -> None:
        nonlocal failures
        response.set()
        if counting and succeeded:
            latencies.append(seconds)
        elif counting:
            failures += 1

    async def wait_for_response() -> None:
        response.clear()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(response.wait(), RESPONSE_SECONDS)

    connections = await _connect(load, on_response)
    # The server may prepare a program for the first request, which should not count.
    await wait_for_response()
    await asyncio.sleep(WARMUP * load.seconds)
    counting, started = True, time.perf_counter()
    await asyncio.sleep(load.seconds)
    if not latencies and not failures:
        await wait_for_response()
    counting, elapsed = False, time.perf_counter() - started
    for connection in connections:
        connection.stop()
    await asyncio.gather(*(connection.closed for connection in connections))
    if not latencies:
        raise RuntimeError(f"{failures} requests failed, none was answered")
    latencies.sort()
    return Measurement(
        len(latencies) / elapsed,
        1e3 * latencies[len(latencies) // 2],
        1e3 * latencies[len(latencies) * 99 // 100],
        failures,
    )


async def _connect(
    load: Load, on_response: Callable[[float, bool], None]
) -> Sequence[Http1Connection | Http2Connection]:
    factories: list[Callable[[], Http1Connection | Http2Connection]]
    if load.protocol == "rest":
        factories = [partial(Http1Connection, load.path, load.messages, on_response)] * load.clients
    else:
        count = min(load.connections, load.clients)
        shares = [load.clients // count + (number < load.clients % count) for number in range(count)]
        factories = [partial(Http2Connection, load.path, load.messages, share, on_response) for share in shares]
    loop = asyncio.get_running_loop()
    host, _, port = load.address.rpartition(":")
    return [(await loop.create_connection(factory, host.strip("[]"), int(port)))[1] for factory in factories]


if __name__ == "__main__":
    main()
