"""The native front, in the server process: opens the ports and supervises the workers behind them."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from serve.config import Config
from serve.execution.affinity import worker_processors
from serve.fronts.native.envoy_config import Listener
from serve.fronts.native.message_router import MessageRouter
from serve.fronts.native.worker_supervisor import WorkerSupervisor
from serve.fronts.ports import GRPC_FLAG, REST_FLAG, Ports, shown_address
from serve.request.auth import Tls
from serve.startup.overview import Overview, curl_command

T = TypeVar("T")


class NativeFront:
    """One or more Envoys on the same ports, each with all models. The kernel spreads the connections over them."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ports = Ports()
        self._supervisors: list[WorkerSupervisor] = []

    async def start(self) -> Overview:
        addresses: dict[str, str] = {}
        try:
            listeners = self._open_listeners(addresses)
            # A Unix socket cannot be shared: only the first worker listens on it.
            shared = [
                listener for listener in listeners if any(isinstance(address, tuple) for address in listener.addresses)
            ]
            router = MessageRouter()
            for number, processor in enumerate(worker_processors(self._config)):
                self._supervisors.append(
                    WorkerSupervisor(self._config, shared if number else listeners, router, processor)
                )
            versions = await _all_or_none(*(supervisor.start() for supervisor in self._supervisors))
        except BaseException:
            await self.stop()
            raise
        return Overview(addresses, versions[0], curl=curl_command(self._config))

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
            listeners.append(Listener("grpc", (self._ports.reserve_socket(config.grpc_socket_path),)))
            addresses["grpc_socket"] = config.grpc_socket_path
        if config.port:
            reserved = self._ports.reserve("gRPC", config.host, config.port, GRPC_FLAG)
            listener = Listener("grpc", reserved, grpc_tls)
            listeners.append(listener)
            addresses["grpc"] = shown_address(config.host, reserved)
            # The web page's code examples connect to this port.
            self._config = replace(config, port=listener.port)
        if config.one_port and config.port:
            addresses["rest"] = f"{'https' if grpc_tls else 'http'}://{addresses['grpc']}"
        elif config.rest_api_port:
            reserved = self._ports.reserve("REST", config.host, config.rest_api_port, REST_FLAG)
            listener = Listener("rest", reserved, rest_tls)
            listeners.append(listener)
            addresses["rest"] = f"{'https' if rest_tls else 'http'}://{shown_address(config.host, reserved)}"
        return listeners


async def _all_or_none(*starts: Coroutine[Any, Any, T]) -> list[T]:
    """Returns the results of all. If one fails, cancels the others, waits for their end, and raises its error."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
