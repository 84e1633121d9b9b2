"""The command line. Each command is a module that is imported when it runs, so that `--help` does not import numpy."""

import sys
from importlib import import_module
from typing import Any

import click

from tfx_export.errors import TfxExportError
from tfx_export.savedmodel.version_folders import remote_storage
from tfx_export.tensorflow_import import skip_unneeded_packages

# Command -> (module, first line of its help). A test compares the line with the help.
COMMANDS: dict[str, tuple[str, str]] = {
    "client": (
        "tfx_export.cli.client",
        "Print a small client program for the model in the folder MODEL, ready to copy and run.",
    ),
    "deploy": (
        "tfx_export.cli.deploy",
        "Write files to serve the model folder DIR on docker, kubernetes, kserve, knative, ray or systemd.",
    ),
    "serve": ("tfx_export.cli.serve", "Serve a model, or a folder of models, over gRPC and REST."),
    "sig": ("tfx_export.cli.sig", "Add, rename or remove signatures of an existing SavedModel."),
    "predict": ("tfx_export.cli.predict", "Send inputs to a running server and print its predictions."),
    "replay": ("tfx_export.cli.replay", "Send logged requests to a server again and compare the responses."),
    "status": ("tfx_export.cli.status", "Show the versions of a model on a running server and their states."),
    "show": ("tfx_export.cli.show", "Show the signatures of a SavedModel or the versions of a model."),
    "run": (
        "tfx_export.cli.run",
        "Run a signature of a SavedModel on inputs from files or expressions, without a server.",
    ),
    "versions": (
        "tfx_export.cli.versions",
        "List the versions of a model: number, time, size, signatures and changes.",
    ),
    "rollback": (
        "tfx_export.cli.rollback",
        "Serve an earlier version again by publishing it under a new, highest number.",
    ),
    "diff": ("tfx_export.cli.diff", "Compare two SavedModels: can B replace A without breaking clients?"),
    "scan": ("tfx_export.cli.scan", "Find denied ops and NaN or infinite weights in a SavedModel."),
    "keras": ("tfx_export.cli.keras", "Export a Keras model file as a SavedModel."),
    "session": ("tfx_export.cli.session", "Export a TF1 checkpoint or frozen graph as a SavedModel."),
    "savedmodel": ("tfx_export.cli.savedmodel", "Export an existing SavedModel again, with its signatures or others."),
    "function": (
        "tfx_export.cli.function",
        "Export a tf.function, a tf.Module or a Python function as a SavedModel.",
    ),
    "bench": ("tfx_export.cli.bench", "Measure how fast a model is served on this machine."),
    "tune": ("tfx_export.cli.tune", "Find the best batching parameters for a model on this machine."),
    "doctor": ("tfx_export.cli.doctor", "Check the installation and report what is missing or in the way."),
    "init": ("tfx_export.cli.init", "Print a commented spec file for --signatures, filled in from a model."),
}


class _LocalPath(click.Path):
    """A path that is not a URL. As a Path, `gs://bucket/m` would be the local folder `gs:/bucket/m`."""

    def __init__(self, path: click.Path) -> None:
        self.__dict__.update(path.__dict__)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if remote := remote_storage(str(value)):
            self.fail(remote, param, ctx)
        return super().convert(value, param, ctx)


class CommandTable(click.Group):
    """A group that knows the names of its commands and imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        for parameter in command.params:
            if isinstance(parameter.type, click.Path):
                parameter.type = _LocalPath(parameter.type)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(
    cls=CommandTable,
    # Options are accepted with dashes and with underscores, as TensorFlow Serving spells them.
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("_", "-"),
    },
)
@click.version_option(package_name="tfx-export", prog_name="tfx-export")
def cli() -> None:
    """From a trained TensorFlow model to a served one."""


def main(args: list[str] | None = None) -> Any:
    """Runs the command line. An error of the library becomes one message on stderr and the exit code of its class."""
    skip_unneeded_packages()
    try:
        return cli.main(args=args, prog_name="tfx-export", standalone_mode=True)
    except TfxExportError as error:
        from tfx_export.cli.feedback import print_error

        print_error(error)
        sys.exit(error.exit_code)
