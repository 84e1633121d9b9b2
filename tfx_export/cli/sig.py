"""`tfx-export sig`: edit the signatures of an existing SavedModel."""

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

    Graph and weights stay as they are. Sessions, servers and tf.saved_model.load all see the change, or it is refused.
    Warmup requests are translated; model.tflite and fingerprint.pb, made from the old file, are left out.
    """


Edit = Callable[..., None]


def editing(edit: Edit) -> Edit:
    """Adds the options that say what is edited and where the result goes; call `edit` with a SignatureEditor."""

    @click.option("--dir", "folder", required=True, type=click.Path(path_type=Path), help="The SavedModel to edit.")
    @click.option("--out", type=click.Path(path_type=Path), help="Write the edited copy to this new folder.")
    @click.option("--in-place", is_flag=True, help="Edit --dir itself, in one step.")
    @click.option("--tag-set", metavar="TAGS", help="One graph by its tags; needed where there are several.")
    @wraps(edit)
    def run(folder: Path, out: Path | None, in_place: bool, tag_set: str | None, **arguments: Any) -> None:
        if (out is None) == (not in_place):
            raise SpecError("Where should the result go?", hint="Give either --out NEW_FOLDER or --in-place.")
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
@click.option("--like", default="", metavar="NAME", help="The signature whose inputs, outputs and method it gets.")
@click.option("--input", "inputs", multiple=True, metavar="KEY=TENSOR", help="An input; may be repeated.")
@click.option("--output", "outputs", multiple=True, metavar="KEY[=TENSOR]", help="An output; may be repeated.")
@click.option("--method", default="predict", metavar="predict|classify|regress", help="Its method, without --like.")
@editing
def add(
    editor: "SignatureEditor", name: str, like: str, inputs: tuple[str, ...], outputs: tuple[str, ...], method: str
) -> None:
    """Add a signature NAME, like an existing one or on tensors.

    \b
    tfx-export sig add predict --like serving_default --dir models/m/1 --in-place
    tfx-export sig add scores --like serving_default --output scores --dir models/m/1 --in-place
    tfx-export sig add embed --input x=x:0 --output vector=pool/Mean:0 --dir models/m/1 --in-place

    A TF2 model takes --like only: tf.saved_model.load calls functions, and there is none on other tensors.
    """
    if like:
        if inputs:
            raise SpecError("--like brings its own inputs.", hint="Give either --like or --input.")
        editor.add(name, like, outputs)
    else:
        editor.define(name, _tensors("--input", inputs), _tensors("--output", outputs), method)


def _tensors(option: str, pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, _, tensor = pair.partition("=")
        if not (key and tensor):
            raise SpecError(f"{option} {pair!r} does not say which tensor.", hint=f"{option} x=x:0, or --like EXISTING")
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
@click.option("--keep-as", default="", metavar="NAME", help="Keep the serving_default of today under this name.")
@editing
def set_default(editor: "SignatureEditor", name: str, keep_as: str) -> None:
    """Let serving_default be a second name of the signature NAME."""
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

    A TF2 model hands out its outputs by alphabetical order: a name that changes the order is refused.
    """
    editor.rename_output(signature, old, new)


@command.command("set-method")
@click.argument("signature")
@click.argument("method", metavar="predict|classify|regress")
@editing
def set_method(editor: "SignatureEditor", signature: str, method: str) -> None:
    """Set the method of SIGNATURE: which call of a server it answers."""
    editor.set_method(signature, method)
