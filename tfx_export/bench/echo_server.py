"""A grpc.aio server that returns each request unchanged: the baseline for request rates, because it does nothing else.

As a program it prints its port, and ends when its standard input is closed.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from tfx_export.load.generator import PREDICT


@contextmanager
def echo_server() -> Iterator[str]:
    """Runs the echo server in a separate process. Yields its `host:port`."""
    command = [sys.executable, "-m", "tfx_export.bench.echo_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


async def main() -> None:
    async def echo(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return request

    _, service, method = PREDICT.split("/")
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    handlers = {method: grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
