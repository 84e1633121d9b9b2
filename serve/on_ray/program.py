"""`tfx-export serve DIR --on ray`: deploys the application on a Ray cluster and deletes it after a signal."""

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ray
from ray import serve as ray_serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

import serve
from serve.config import ANY_PORT, Config
from serve.errors import Code, ServeError
from serve.on_ray.application import absolute, application, grpc_options, http_options, proxy_host
from serve.signals import on_stop_signal
from serve.startup.config_files import check_config_files
from serve.startup.overview import Overview, curl_command

logger = logging.getLogger("serve")

NAME = "tfx-export"


class _Stopped(BaseException):
    """Raised by a stop signal. A BaseException, like KeyboardInterrupt, so that Ray's code does not catch it."""


def run(config: Config) -> int:
    """Serves until SIGTERM or SIGINT. Returns the exit code: 0 after a signal, 1 if the start failed."""
    try:
        config = _with_ports(absolute(config))
        check_config_files(config)
        bound = application(config)
        with contextlib.suppress(_Stopped), _on_cluster(config):
            _start(config, bound)
            threading.Event().wait()
    except ServeError as error:
        sys.stderr.write(f"Failed to start server. Error: {error}\n")
        return 1
    return 0


def _start(config: Config, bound: ray_serve.Application) -> None:
    http, grpc = http_options(config), grpc_options(config)
    try:
        ray_serve.start(proxy_location="EveryNode", http_options=http, grpc_options=grpc)
        handle = ray_serve.run(bound, name=NAME, route_prefix="/")
    except (RuntimeError, TimeoutError, RayError, RayServeException) as error:
        raise ServeError(Code.UNKNOWN, f"{error} See the log above.") from None
    addresses = {"rest": f"http://{proxy_host(config)}:{config.rest_api_port}"}
    if config.port:
        addresses["grpc"] = f"{proxy_host(config)}:{config.port}"
        logger.warning("Ray's proxies listen for gRPC on every interface, port %d", config.port)
    overview = Overview(addresses, handle.served_versions.remote().result(), curl=curl_command(config))
    sys.stdout.write(overview.text() + "\n")
    sys.stdout.flush()
    if config.ready_file:
        overview.write(Path(config.ready_file))


@contextlib.contextmanager
def _on_cluster(config: Config) -> Iterator[None]:
    """Connects to the cluster, or starts one on this machine. At the end, deletes the application and disconnects."""
    # Ray puts the driver's working folder first on its workers' module path: a user's serve.py would hide this package.
    os.chdir(Path(serve.__file__).parents[1])
    # Ray sends usage statistics to its makers unless this is set.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _check_address(config.ray_address)
    try:
        ray.init(address=config.ray_address or None, include_dashboard=None if config.ray_address else False)
    except (ConnectionError, ValueError) as error:
        raise ServeError(Code.UNAVAILABLE, f"There is no Ray cluster at {config.ray_address}: {error}") from None
    on_stop_signal(_stop)
    try:
        yield
    finally:
        logger.info("Draining: no new requests, %g s for those in flight", config.drain_seconds)
        with contextlib.suppress(Exception):
            ray_serve.delete(NAME)
            if not ray_serve.status().applications:
                ray_serve.shutdown()
        ray.shutdown()
        logger.info("Stopped")


def _check_address(address: str) -> None:
    """Raises UNAVAILABLE if nothing listens there. Ray itself would retry for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise ServeError(Code.UNAVAILABLE, f"There is no Ray cluster at {address}: {error}") from None


def _stop() -> None:
    raise _Stopped


def _with_ports(config: Config) -> Config:
    """Returns `config` with a free port in place of each `auto`, because all proxies must use the same ports."""
    if config.rest_api_port == 0:
        raise ServeError(Code.INVALID_ARGUMENT, "Ray's proxies always answer REST: --rest_api_port=0 is not supported.")
    with contextlib.ExitStack() as stack:
        free = {}
        for name in ("port", "rest_api_port"):
            if getattr(config, name) == ANY_PORT:
                listener = stack.enter_context(socket.socket())
                listener.bind(("", 0))
                free[name] = listener.getsockname()[1]
    return replace(config, **free)
