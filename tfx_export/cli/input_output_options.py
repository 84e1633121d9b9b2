"""The options that name the inputs and outputs of a graph: --input, --output and --bind."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar

import click

from tfx_export.cli.export_options import parse_assignments

Function = TypeVar("Function", bound=Callable[..., object])


class InputOutputArguments(TypedDict):
    """The options below as arguments of the API."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    bind: Mapping[str, object]


def input_output_options(function: Function) -> Function:
    """Adds --input, --output and --bind; read their values with `take_inputs_and_outputs`."""
    for option in (
        click.option("--bind", multiple=True, metavar="TENSOR=VALUE", help="Fix a tensor at a value (repeatable)."),
        click.option(
            "--output", "output_tensors", multiple=True, metavar="NAME=TENSOR", help="An output (repeatable)."
        ),
        click.option("--input", "input_tensors", multiple=True, metavar="NAME=TENSOR", help="An input (repeatable)."),
    ):
        function = option(function)
    return function


def take_inputs_and_outputs(options: dict[str, Any]) -> InputOutputArguments:
    """Removes the options above from `options` and returns them as arguments of the API. Raises SpecError."""
    return {
        "inputs": parse_assignments("--input", options.pop("input_tensors"), "images=x:0"),
        "outputs": parse_assignments("--output", options.pop("output_tensors"), "scores=softmax:0"),
        "bind": {
            tensor: _value(value)
            for tensor, value in parse_assignments("--bind", options.pop("bind"), "keep_prob=1.0").items()
        },
    }


def _value(text: str) -> object:
    """Parses `1.0`, `false` (also `False`) and `[1, 2]` as JSON. Anything else is a string."""
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except json.JSONDecodeError:
        return text
