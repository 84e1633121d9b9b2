"""A program: a grpc.aio server that sends back what it gets. The yardstick: it does nothing else.

Prints its port; ends with its standard input.
"""

import asyncio
import sys
from typing import Any

import grpc

from tfx_export.bench.load import PREDICT


async def main() -> None:
    async def echo(request: bytes, context: Any) -> bytes:
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
