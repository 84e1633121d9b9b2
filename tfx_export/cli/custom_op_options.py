"""The options --op-library and --import, for models with operators that TensorFlow does not have."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., object])


def custom_op_options(function: Function) -> Function:
    """Adds the options. Their values are used when TensorFlow is imported; the command does not get them."""
    for option in (
        click.option(
            "--import",
            "modules",
            multiple=True,
            metavar="MODULE",
            expose_value=False,
            callback=lambda context, option, modules: _use((), modules),
            help="Import a module that registers operators, such as tensorflow_text (repeatable).",
        ),
        click.option(
            "--op-library",
            "libraries",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE.so",
            expose_value=False,
            callback=lambda context, option, libraries: _use(libraries, ()),
            help="Load a shared library with custom operators (repeatable).",
        ),
    ):
        function = option(function)
    return function


def _use(libraries: tuple[Path, ...], modules: tuple[str, ...]) -> None:
    if libraries or modules:
        from tfx_export.custom_ops import use_custom_ops

        use_custom_ops(libraries, modules)
