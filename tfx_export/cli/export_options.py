"""The options of all export commands: the destination, the version, the signatures, and the files to write."""

import json
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from tfx_export.cli.custom_op_options import custom_op_options
from tfx_export.cli.export_summary import as_dict, print_summary
from tfx_export.cli.extras_options import extras_from, extras_options
from tfx_export.cli.feedback import feedback_options, steps
from tfx_export.errors import SpecError
from tfx_export.exporting.job import Exported
from tfx_export.exporting.spec.from_flags import SignatureFlags
from tfx_export.exporting.spec.merge import ExportFlags, spec_from_command
from tfx_export.exporting.spec.model import ExportSpec

Function = TypeVar("Function", bound=Callable[..., object])
_PATH = click.Path(path_type=Path)

_OPTIONS = (
    click.option(
        "--out", required=True, type=_PATH, help="Folder of the model, which holds a folder for each version."
    ),
    click.option("--version", default="next", show_default=True, help="Version number, 'next' or 'timestamp'."),
    click.option("--overwrite", is_flag=True, help="Replace the version if it already exists."),
    click.option(
        "--keep", type=click.IntRange(1), metavar="K", help="Afterwards remove all but the K newest versions."
    ),
    click.option("--input-name", multiple=True, metavar="OLD=NEW", help="Rename an input (repeatable)."),
    click.option("--output-name", multiple=True, metavar="OLD=NEW", help="Rename an output (repeatable)."),
    click.option(
        "--signatures", "spec_file", type=_PATH, metavar="SPEC.YAML", help="Read the signatures from a spec file."
    ),
    click.option(
        "--signature",
        multiple=True,
        metavar="[NAME=]KIND",
        help="Write a signature: predict, classify, regress or image (repeatable).",
    ),
    click.option("--default", "default", metavar="NAME", help="Signature that is also named 'serving_default'."),
    click.option("--labels", type=_PATH, help="Text file with one class name per line, for classify and image."),
    click.option("--top-k", type=click.IntRange(1), metavar="K", help="Return only the K best classes."),
    click.option(
        "--image-scale",
        metavar="SCALE",
        help="Range of the pixels: 0-1, -1-1, none, or a model of keras.applications, e.g. resnet50.",
    ),
    click.option("--image-size", type=int, nargs=2, metavar="H W", help="Resize images to this height and width."),
    click.option("--tags", metavar="TAG,...", help="Tags of the SavedModel, separated by commas.  [default: serve]"),
    click.option("--assets", multiple=True, type=_PATH, metavar="FILE", help="Add a file to assets/ (repeatable)."),
    click.option("--as-text", is_flag=True, help="Write saved_model.pbtxt instead of saved_model.pb."),
    click.option(
        "--clear-devices/--keep-devices", default=None, help="Remove or keep the devices of ops.  [default: clear]"
    ),
    click.option(
        "--strip-default-attrs/--keep-default-attrs",
        default=None,
        help="Omit or keep attributes with default values; omitting them helps older servers.  [default: strip]",
    ),
)


def export_options(function: Function) -> Function:
    """Adds the options above, `extras_options` and `feedback_options`. `run_export` takes their values."""
    function = extras_options(custom_op_options(feedback_options(function)))
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def run_export(export: Callable[..., Exported], options: dict[str, Any]) -> None:
    """Calls `export`, a function of the API with its source bound, with the options. Prints the result."""
    spec = _spec(options)
    arguments = {key: options[key] for key in ("out", "version", "overwrite", "keep")}
    arguments["extras"] = extras_from(options)
    silent = options["quiet"] or options["as_json"]
    total = arguments["extras"].steps
    with steps(quiet=silent, verbose=options["verbose"], total=total) as report:
        exported = export(spec=spec, report=report, **arguments)
    if options["as_json"]:
        click.echo(json.dumps(as_dict(exported), indent=2))
    elif not silent:
        print_summary(exported, next_command=f"tfx-export serve {shlex.quote(str(options['out']))}")


def _spec(options: dict[str, Any]) -> ExportSpec:
    flags = SignatureFlags(
        signatures=options["signature"],
        labels=options["labels"],
        top_k=options["top_k"],
        image_scale=options["image_scale"],
        image_size=options["image_size"],
    )
    return spec_from_command(
        options["spec_file"],
        flags,
        ExportFlags(
            default=options["default"],
            tags=tuple(tag.strip() for tag in options["tags"].split(",")) if options["tags"] else (),
            assets=options["assets"],
            as_text=options["as_text"],
            clear_devices=options["clear_devices"],
            strip_default_attrs=options["strip_default_attrs"],
            input_names=parse_assignments("--input-name", options["input_name"], "dense_input=pixels"),
            output_names=parse_assignments("--output-name", options["output_name"], "dense_1=scores"),
        ),
    )


def parse_assignments(option: str, texts: Iterable[str], example: str) -> dict[str, str]:
    """Parses the values of a repeatable option: `["a=b"]` becomes `{"a": "b"}`.

    Raises SpecError if a text is not NAME=VALUE, or if a name is given twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise SpecError(f"{option} takes NAME=VALUE, not {text!r}.", hint=f"For example: {option} {example}")
        if name in values:
            raise SpecError(f"{option} gives two values for {name!r}: {values[name]!r} and {value!r}.")
        values[name] = value
    return values
