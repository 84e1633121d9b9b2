"""`python -m serve`: the program that `tfx-export serve` starts; and `tensorflow_model_server`."""

import logging
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import NoReturn

from serve import logs
from serve.flags import FlagError, parse, usage

# Tolerates unknown flags, for command lines written for TensorFlow Serving.
COMPAT = "--compat"


def main(arguments: list[str], program: str = "python -m serve") -> int:
    """Runs the server. Returns the exit code: 0 after a signal, 1 if the server cannot start.

    `program` is the command that the user has typed.
    """
    if "--help" in arguments or "-h" in arguments:
        print(usage(program))  # noqa: T201
        return 0
    if "--version" in arguments:
        print(_versions())  # noqa: T201
        return 0
    try:
        config, notes = parse([each for each in arguments if each != COMPAT], tolerant=COMPAT in arguments)
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


def tensorflow_model_server() -> NoReturn:
    """The command of TensorFlow Serving, with its flags."""
    _run([COMPAT, *sys.argv[1:]], "tensorflow_model_server")


def _run(arguments: list[str], program: str = "python -m serve") -> NoReturn:
    try:
        code = main(arguments, program)
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # the reader of `--help | head` has ended
        code = 1
    # All requests have been drained. C++ threads that still load or shut down need not be waited for.
    os._exit(code)


if __name__ == "__main__":
    _run(sys.argv[1:])
