"""Load: many clients on one server, each with one request in flight, and what they see."""

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle

import grpc

from tfx_export.client import ServerError
from tfx_export.tuning.setting import Measurement

METHOD = "/tensorflow.serving.PredictionService/Predict"
# As much of the measured time goes before it, unmeasured.
WARMUP = 0.25


def measure(target: str, requests: Sequence[bytes], clients: int, seconds: float) -> Measurement:
    """Send the serialized PredictRequests `requests` in turn from `clients` clients for `seconds` seconds.

    Raises ServerError if the server refuses one.
    """
    try:
        return asyncio.run(_measure(target, requests, clients, seconds))
    except grpc.RpcError as error:
        raise ServerError(error) from None


async def _measure(target: str, requests: Sequence[bytes], clients: int, seconds: float) -> Measurement:
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        predict = channel.unary_unary(METHOD)
        turn = cycle(requests)
        latencies: list[float] = []

        async def client(until: float) -> None:
            while True:
                started = time.perf_counter()
                if started >= until:
                    return
                await predict(next(turn))
                latencies.append(time.perf_counter() - started)

        async def run(length: float) -> float:
            latencies.clear()
            started = time.perf_counter()
            await asyncio.gather(*(client(started + length) for _ in range(clients)))
            return time.perf_counter() - started

        await run(seconds * WARMUP)
        elapsed = await run(seconds)
    latencies.sort()
    return Measurement(
        round(len(latencies) / elapsed, 1),
        round(1000 * latencies[len(latencies) // 2], 3),
        round(1000 * latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))], 3),
    )
