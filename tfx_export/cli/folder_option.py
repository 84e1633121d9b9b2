"""The SavedModel a command looks into: `tfx-export show DIR`, or `--dir DIR` as saved_model_cli has it."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click


def takes_folder(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives `command` the folder that was named either way, as `folder`."""

    @click.argument("argument", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
    @click.option("--dir", "option", type=click.Path(path_type=Path), help="The SavedModel, or a folder of versions.")
    @wraps(command)
    def with_folder(argument: Path | None, option: Path | None, **rest: Any) -> Any:
        folder = option or argument
        if folder is None:
            name = click.get_current_context().info_name
            raise click.UsageError(f"Which SavedModel? Type: tfx-export {name} --dir models/NAME/VERSION")
        return command(folder=folder, **rest)

    return with_folder
