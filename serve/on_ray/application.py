"""The Ray Serve application: the deployment of Replica, and the options of the proxies in front of it."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ray import serve

from serve.config import LOOPBACK, Config
from serve.errors import Code, ServeError
from serve.flags import FlagError, parse
from serve.on_ray.replica import Replica

DEPLOYMENT = "Server"

# Settings that Ray's proxies do not support, or for which they have their own.
UNSUPPORTED = ("ssl_config_file", "rest_ssl_config_file", "grpc_socket_path", "grpc_channel_arguments", "one_port")


def application(config: Config) -> serve.Application:
    """Returns the deployment, bound to `config`. Raises INVALID_ARGUMENT for settings that proxies do not support."""
    defaults = Config()
    for name in UNSUPPORTED:
        if getattr(config, name) != getattr(defaults, name):
            raise ServeError(Code.INVALID_ARGUMENT, f"--{name} has no effect on Ray's proxies: leave it out.")
    if not 1 <= config.min_replicas <= config.max_replicas:
        raise ServeError(
            Code.INVALID_ARGUMENT,
            f"--min_replicas={config.min_replicas} --max_replicas={config.max_replicas}: expected 1 <= min <= max.",
        )
    options: dict[str, object] = {"num_replicas": config.min_replicas}
    if config.max_replicas > config.min_replicas:
        options = {
            "autoscaling_config": {
                "min_replicas": config.min_replicas,
                "max_replicas": config.max_replicas,
                "target_ongoing_requests": config.target_ongoing_requests,
            }
        }
    deployment = serve.deployment(serve.ingress()(Replica)).options(
        name=DEPLOYMENT,
        ray_actor_options={"num_cpus": config.cpus_per_replica},
        max_ongoing_requests=config.max_concurrent_requests or 2**31 - 1,
        graceful_shutdown_timeout_s=config.drain_seconds,
        # The server's own access log says more about a request.
        logging_config={"enable_access_log": False},
        **options,
    )
    return deployment.bind(absolute(config))


def build(args: dict[str, object]) -> serve.Application:
    """Returns the application from the `args` of a Serve config file: flags of the server with their values.

    Raises ServeError (INVALID_ARGUMENT) for flags and values that the command line would reject.
    """
    try:
        config, _ = parse([f"--{name}={value}" for name, value in args.items()])
    except FlagError as error:
        raise ServeError(Code.INVALID_ARGUMENT, str(error)) from None
    return application(config)


def http_options(config: Config) -> dict[str, object]:
    """Returns the options of the proxies for REST."""
    return {"host": proxy_host(config), "port": config.rest_api_port}


def proxy_host(config: Config) -> str:
    """Returns the address of the proxies for REST, which listen on one address only."""
    return "127.0.0.1" if config.host == LOOPBACK else config.host


def grpc_options(config: Config) -> dict[str, object]:
    """Returns the options of the proxies for gRPC. Without servicer functions they open no gRPC port."""
    functions = ["serve.on_ray.services.add_services_to_server"] if config.port else []
    return {"port": config.port, "grpc_servicer_functions": functions, "enable_reflection": False}


def absolute(config: Config) -> Config:
    """Returns `config` with absolute paths, because replicas run in other working folders."""
    paths: dict[str, Any] = {
        field.name: str(Path(value).absolute())
        for field in fields(config)
        if field.name.endswith(("_file", "_path")) and (value := getattr(config, field.name))
    }
    return replace(config, **paths, op_library=tuple(str(Path(each).absolute()) for each in config.op_library))
