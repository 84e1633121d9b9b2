"""`tfx-export sig`: edits the signatures of an existing SavedModel."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfx_export.errors import SpecError

if TYPE_CHECKING:
    from tfx_export.savedmodel.signature_editor import SignatureEditor


@click.group("sig")
def command() -> None:
    """Add, rename or remove signatures of an existing SavedModel.

    \b
    tfx-export sig rename serve serving_default --dir models/m/1 --out models/m/2
    tfx-export sig rename-output serving_default output_0 scores --dir models/m/1 --in-place

    The graph and the weights do not change. A change that sessions, servers and tf.saved_model.load would not all see
    is refused. Warmup requests are converted. model.tflite and fingerprint.pb are removed, because they were made from
    the old file.
    """


Edit = Callable[..., None]


def editing(edit: Edit) -> Edit:
    """Adds the options for the SavedModel to edit and for the result. Calls `edit` with a SignatureEditor."""

    @click.option("--dir", "folder", required=True, type=click.Path(path_type=Path), help="SavedModel to edit.")
    @click.option("--out", type=click.Path(path_type=Path), help="Write an edited copy to this new folder.")
    @click.option("--in-place", is_flag=True, help="Replace the signatures of --dir in one step.")
    @click.option("--tag-set", metavar="TAGS", help="Tags of the graph; required if there are several.")
    @wraps(edit)
    def run(folder: Path, out: Path | None, in_place: bool, tag_set: str | None, **arguments: Any) -> None:
        if (out is None) == (not in_place):
            raise SpecError("The destination is missing.", hint="Give either --out NEW_FOLDER or --in-place.")
        from tfx_export.savedmodel.signature_editor import SignatureEditor

        editor = SignatureEditor(folder, tag_set)
        edit(editor, **arguments)
        target = out or folder
        if out:
            editor.save_copy(out)
        else:
            editor.save_in_place()
        click.echo(f"Wrote {target}\nNext: tfx-export show --dir {target}")

    return run


@command.command("add")
@click.argument("name")
@click.option("--like", default="", metavar="NAME", help="Copy inputs, outputs and method from this signature.")
@click.option("--input", "inputs", multiple=True, metavar="KEY=TENSOR", help="An input (repeatable).")
@click.option("--output", "outputs", multiple=True, metavar="KEY[=TENSOR]", help="An output (repeatable).")
@click.option(
    "--method", default="predict", metavar="predict|classify|regress", help="Method of the signature, without --like."
)
@editing
def add(
    editor: "SignatureEditor", name: str, like: str, inputs: tuple[str, ...], outputs: tuple[str, ...], method: str
) -> None:
    """Add the signature NAME, either like an existing one or from tensors.

    \b
    tfx-export sig add predict --like serving_default --dir models/m/1 --in-place
    tfx-export sig add scores --like serving_default --output scores --dir models/m/1 --in-place
    tfx-export sig add embed --input x=x:0 --output vector=pool/Mean:0 --dir models/m/1 --in-place

    TF2 models accept only --like: tf.saved_model.load calls functions, and no function computes other tensors.
    """
    if like:
        if inputs:
            raise SpecError("--like copies the inputs.", hint="Give either --like or --input.")
        editor.add(name, like, outputs)
    else:
        editor.define(name, _tensors("--input", inputs), _tensors("--output", outputs), method)


def _tensors(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, _, tensor = text.partition("=")
        if not (key and tensor):
            raise SpecError(
                f"{option} takes KEY=TENSOR, not {text!r}.",
                hint=f"For example: {option} x=x:0. Or copy a signature: --like EXISTING",
            )
        found[key] = tensor
    return found


@command.command("rename")
@click.argument("old")
@click.argument("new")
@editing
def rename(editor: "SignatureEditor", old: str, new: str) -> None:
    """Rename the signature OLD to NEW."""
    editor.rename(old, new)


@command.command("remove")
@click.argument("name")
@editing
def remove(editor: "SignatureEditor", name: str) -> None:
    """Remove the signature NAME."""
    editor.remove(name)


@command.command("set-default")
@click.argument("name")
@click.option("--keep-as", default="", metavar="NAME", help="Keep the current serving_default under this name.")
@editing
def set_default(editor: "SignatureEditor", name: str, keep_as: str) -> None:
    """Make serving_default a second name of the signature NAME."""
    editor.set_default(name, keep_as)


@command.command("rename-input")
@click.argument("signature")
@click.argument("old")
@click.argument("new")
@editing
def rename_input(editor: "SignatureEditor", signature: str, old: str, new: str) -> None:
    """Rename the input OLD of SIGNATURE to NEW."""
    editor.rename_input(signature, old, new)


@command.command("rename-output")
@click.argument("signature")
@click.argument("old")
@click.argument("new")
@editing
def rename_output(editor: "SignatureEditor", signature: str, old: str, new: str) -> None:
    """Rename the output OLD of SIGNATURE to NEW.

    TF2 models return their outputs in alphabetical order, so a name that changes the order is refused.
    """
    editor.rename_output(signature, old, new)


@command.command("set-method")
@click.argument("signature")
@click.argument("method", metavar="predict|classify|regress")
@editing
def set_method(editor: "SignatureEditor", signature: str, method: str) -> None:
    """Set the method of SIGNATURE, i.e. the API that it answers."""
    editor.set_method(signature, method)
