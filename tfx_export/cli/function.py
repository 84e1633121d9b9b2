"""`tfx-export function`: exports a Python function."""

import re
from functools import partial
from typing import Any

import click

from tfx_export.cli.export_options import export_options, run_export
from tfx_export.errors import SpecError
from tfx_export.exporting.api import export_function
from tfx_export.exporting.spec.model import InputSpec

_EXAMPLE = "--input images=float32[?,784]"


@click.command("function")
@click.argument("reference", metavar="MODULE:ATTRIBUTE")
@click.option(
    "--input", "taken", multiple=True, metavar="NAME=DTYPE[SHAPE]", help=f"An input, e.g. {_EXAMPLE[8:]} (repeatable)."
)
@export_options
def command(reference: str, taken: tuple[str, ...], **options: Any) -> None:
    """Export a tf.function, a tf.Module or a Python function as a SavedModel.

    MODULE is imported from the working folder or from the installed packages. --input is required if the function has
    no input_signature.
    """
    inputs = dict(_input(one) for one in taken) or None
    run_export(partial(export_function, reference, inputs=inputs), options)


def _input(text: str) -> tuple[str, InputSpec]:
    found = re.fullmatch(r"(?P<name>[^=]+)=(?P<dtype>\w+)(\[(?P<shape>[^\]]*)\])?", text)
    if not found:
        raise SpecError(f"--input takes NAME=DTYPE[SHAPE], not {text!r}.", hint=f"For example: {_EXAMPLE}")
    try:
        sizes = [size.strip() for size in (found["shape"] or "").split(",") if size.strip()]
        shape = tuple(None if size in ("?", "None", "-1") else int(size) for size in sizes)
    except ValueError:
        raise SpecError(f"{found['shape']!r} is not a valid shape.", hint=f"For example: {_EXAMPLE}") from None
    return found["name"], InputSpec(found["name"], found["dtype"], shape)
