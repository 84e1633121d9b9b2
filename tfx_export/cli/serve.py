"""`tfx-export serve`: replaces this process by the server. All flags are passed to it."""

import os
import subprocess
import sys

import click

from tfx_export.server_program import SERVER_PROGRAM


@click.command(
    "serve",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Serve a model, or a folder of models, over gRPC and REST."""
    program = [*SERVER_PROGRAM, *arguments]
    if os.name == "posix":
        # The server then gets the signals, and its exit code is that of the command.
        os.execv(sys.executable, program)  # noqa: S606
    sys.exit(subprocess.run(program).returncode)
