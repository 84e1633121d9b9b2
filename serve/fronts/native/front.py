"""The native front, in the server's own process: it opens the ports and keeps the workers behind them."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from serve.config import Config
from serve.fronts.native.envoy_config import Listener
from serve.fronts.native.message_router import MessageRouter
from serve.fronts.native.ports import Ports, joined
from serve.fronts.native.worker_supervisor import WorkerSupervisor
from serve.request.auth import Tls
from serve.startup.overview import Overview

T = TypeVar("T")


class NativeFront:
    """Envoys carry both protocols; the Python inside each holds the models. The kernel shares connections out."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ports = Ports()
        self._supervisors: list[WorkerSupervisor] = []

    async def start(self) -> Overview:
        addresses: dict[str, str] = {}
        try:
            listeners = self._open_listeners(addresses)
            # A Unix socket has one listener only.
            shared = [
                listener for listener in listeners if any(isinstance(address, tuple) for address in listener.addresses)
            ]
            router = MessageRouter()
            for number, processor in enumerate(_processors(self._config)):
                self._supervisors.append(
                    WorkerSupervisor(self._config, shared if number else listeners, router, processor)
                )
            versions = await _all_or_none(*(supervisor.start() for supervisor in self._supervisors))
        except BaseException:
            await self.stop()
            raise
        return Overview(addresses, versions[0])

    async def stop_accepting(self) -> None:
        await asyncio.gather(*(supervisor.stop_accepting() for supervisor in self._supervisors))

    async def wait_idle(self) -> None:
        await asyncio.gather(*(supervisor.wait_idle() for supervisor in self._supervisors))

    async def stop(self) -> None:
        await asyncio.gather(*(supervisor.stop() for supervisor in self._supervisors))
        self._ports.close()

    def _open_listeners(self, addresses: dict[str, str]) -> list[Listener]:
        config = self._config
        grpc_tls = Tls.read(config.ssl_config_file) if config.ssl_config_file else None
        rest_tls = Tls.read(config.rest_ssl_config_file) if config.rest_ssl_config_file else None
        listeners = []
        if config.grpc_socket_path:
            listeners.append(Listener("grpc", (self._ports.take_socket(config.grpc_socket_path),)))
            addresses["grpc_socket"] = config.grpc_socket_path
        if config.port:
            taken = self._ports.take("gRPC", config.host, config.port, "--port")
            listener = Listener("grpc", taken, grpc_tls)
            listeners.append(listener)
            addresses["grpc"] = joined(config.host, listener.port)
            # The page writes programs that ask this port.
            self._config = replace(config, port=listener.port)
        if config.one_port and config.port:
            addresses["rest"] = f"{'https' if grpc_tls else 'http'}://{addresses['grpc']}"
        elif config.rest_api_port:
            taken = self._ports.take("REST", config.host, config.rest_api_port, "--rest_api_port")
            listener = Listener("rest", taken, rest_tls)
            listeners.append(listener)
            addresses["rest"] = f"{'https' if rest_tls else 'http'}://{joined(config.host, listener.port)}"
        return listeners


def _processors(config: Config) -> list[int | None]:
    """The processor that each worker keeps to, if there is one for each and they compute on one thread.

    Left to the system, two workers share a processor from time to time, and each of them is spread over several.
    """
    usable = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    if len(usable) == config.workers > 1 and config.tensorflow_intra_op_parallelism <= 1:
        return [*usable]
    return [None] * config.workers


async def _all_or_none(*starts: Coroutine[Any, Any, T]) -> list[T]:
    """What all return; when one fails the others are cancelled, and its error is raised once they have ended."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
