"""The options that say where a graph is entered and left."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar

import click

from tfx_export.cli.pairs import read_pairs

Function = TypeVar("Function", bound=Callable[..., Any])


class EndsArguments(TypedDict):
    """The arguments of the API that the options below become."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    bind: Mapping[str, Any]


def ends_options(function: Function) -> Function:
    """Add --input, --output and --bind; read their values with `take_ends`."""
    for option in (
        click.option("--bind", multiple=True, metavar="TENSOR=VALUE", help="Fix a tensor to a value (repeatable)."),
        click.option("--output", "ends_out", multiple=True, metavar="NAME=TENSOR", help="An output (repeatable)."),
        click.option("--input", "ends_in", multiple=True, metavar="NAME=TENSOR", help="An input (repeatable)."),
    ):
        function = option(function)
    return function


def take_ends(options: dict[str, Any]) -> EndsArguments:
    """Take the values of the options above out of `options`, as the arguments of the API. Raises SpecError."""
    return {
        "inputs": read_pairs("--input", options.pop("ends_in"), "images=x:0"),
        "outputs": read_pairs("--output", options.pop("ends_out"), "scores=softmax:0"),
        "bind": {
            tensor: _value(value)
            for tensor, value in read_pairs("--bind", options.pop("bind"), "keep_prob=1.0").items()
        },
    }


def _value(text: str) -> Any:
    """`1.0`, `false`, `[1, 2]` as JSON reads them (`True` too); anything else is a string."""
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except json.JSONDecodeError:
        return text
