"""The native front, in the server's own process: it opens the ports and keeps the workers behind them."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from serve.config import Config
from serve.fronts.native.envoy_config import Door
from serve.fronts.native.message_router import Switchboard
from serve.fronts.native.ports import Ports, joined
from serve.fronts.native.worker_supervisor import Keeper
from serve.request.auth import Tls
from serve.startup.overview import Overview

T = TypeVar("T")


class NativeFront:
    """Envoys carry both protocols; the Python inside each holds the models. The kernel shares connections out."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ports = Ports()
        self._keepers: list[Keeper] = []

    async def start(self) -> Overview:
        addresses: dict[str, str] = {}
        try:
            doors = self._open_doors(addresses)
            # A Unix socket has one listener only.
            shared = [door for door in doors if any(isinstance(address, tuple) for address in door.addresses)]
            switchboard = Switchboard()
            for number, processor in enumerate(_processors(self._config)):
                self._keepers.append(Keeper(self._config, shared if number else doors, switchboard, processor))
            versions = await _all_or_none(*(keeper.start() for keeper in self._keepers))
        except BaseException:
            await self.stop()
            raise
        return Overview(addresses, versions[0])

    async def stop_accepting(self) -> None:
        await asyncio.gather(*(keeper.stop_accepting() for keeper in self._keepers))

    async def wait_idle(self) -> None:
        await asyncio.gather(*(keeper.wait_idle() for keeper in self._keepers))

    async def stop(self) -> None:
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers))
        self._ports.close()

    def _open_doors(self, addresses: dict[str, str]) -> list[Door]:
        config = self._config
        grpc_tls = Tls.read(config.ssl_config_file) if config.ssl_config_file else None
        rest_tls = Tls.read(config.rest_ssl_config_file) if config.rest_ssl_config_file else None
        doors = []
        if config.grpc_socket_path:
            doors.append(Door("grpc", (self._ports.take_socket(config.grpc_socket_path),)))
            addresses["grpc_socket"] = config.grpc_socket_path
        if config.port:
            taken = self._ports.take("gRPC", config.host, config.port, "--port")
            door = Door("grpc", taken, grpc_tls)
            doors.append(door)
            addresses["grpc"] = joined(config.host, door.port)
            # The page writes programs that ask this port.
            self._config = replace(config, port=door.port)
        if config.one_port and config.port:
            addresses["rest"] = f"{'https' if grpc_tls else 'http'}://{addresses['grpc']}"
        elif config.rest_api_port:
            taken = self._ports.take("REST", config.host, config.rest_api_port, "--rest_api_port")
            door = Door("rest", taken, rest_tls)
            doors.append(door)
            addresses["rest"] = f"{'https' if rest_tls else 'http'}://{joined(config.host, door.port)}"
        return doors


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
