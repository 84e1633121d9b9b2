"""`tfx-export serve`: become the server. Its flags are its own; all of them are passed through."""

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
        # Signals and the exit code are then the server's own.
        os.execv(sys.executable, program)  # noqa: S606
    sys.exit(subprocess.run(program).returncode)
