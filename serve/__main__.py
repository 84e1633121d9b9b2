"""`python -m serve`: the program that `tfx-export serve` starts."""

import logging
import os
import sys
from importlib import import_module
from importlib.util import find_spec

from serve import logs
from serve.flags import FlagError, parse, usage


def main(arguments: list[str]) -> int:
    """Runs the server. Returns the exit code: 0 after a signal, 1 if the server cannot start."""
    program = "python -m serve"
    if "--help" in arguments or "-h" in arguments:
        print(usage(program))  # noqa: T201
        return 0
    if "--version" in arguments:
        print(_versions())  # noqa: T201
        return 0
    compat = "--compat" in arguments
    try:
        config, notes = parse([each for each in arguments if each != "--compat"], tolerant=compat)
        if not config.model_base_path and not config.model_config_file:
            raise FlagError(f"Nothing to serve: give a folder, as in `{program} models/mnist`, or --model_config_file.")
        if not (config.port or config.rest_api_port or config.grpc_socket_path):
            raise FlagError("Nowhere to listen: --port and --rest_api_port are 0, which switches both off.")
    except FlagError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    logs.setup(config.log_format, config.log_level)
    for note in notes:
        logging.getLogger("serve").warning(note)

    if config.on == "ray" and find_spec("ray") is None:
        sys.stderr.write("--on=ray needs Ray: pip install 'tfx-export[ray]'\n")
        return 1
    # Only one of them is imported, because Ray is an optional package.
    server = import_module("serve.on_ray.program" if config.on == "ray" else "serve.server")
    code: int = server.run(config)
    return code


def _versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        tensorflow = version("tensorflow")
    except PackageNotFoundError:
        tensorflow = "not installed"
    return f"TensorFlow ModelServer: {version('tfx-export')}\nTensorFlow Library: {tensorflow}"


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # All requests have been drained. C++ threads that still load or shut down need not be waited for.
    os._exit(code)
