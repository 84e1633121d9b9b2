"""The folder that a command reads: `tfx-export show DIR`, or `--dir DIR` as in saved_model_cli."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click


def folder_option(command: Callable[..., object]) -> Callable[..., object]:
    """Adds the argument and the option. `command` gets the one that was given, as `folder`."""

    @click.argument("argument", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
    @click.option("--dir", "option", type=click.Path(path_type=Path), help="SavedModel, or folder of versions.")
    @wraps(command)
    def with_folder(argument: Path | None, option: Path | None, **rest: Any) -> object:
        folder = option or argument
        if folder is None:
            name = click.get_current_context().info_name
            raise click.UsageError(f"Missing SavedModel. Type: tfx-export {name} --dir models/NAME/VERSION")
        return command(folder=folder, **rest)

    return with_folder
