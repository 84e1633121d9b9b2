"""`tfx-export client`: prints a small client program for a model."""

from pathlib import Path

import click

from tfx_export.templates import templates

LANGUAGES = sorted(path.stem for path in templates("clients").iterdir())


@click.command()
@click.argument("directory", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "--lang", type=click.Choice(LANGUAGES), default="python", show_default=True, help="Language of the program."
)
@click.option("--signature-def", default="serving_default", show_default=True, help="Signature to call.")
@click.option("--model-name", help="Name of the model on the server.  [default: name of the folder]")
@click.option("--rest", default="http://localhost:8501", show_default=True, help="URL of the REST port.")
@click.option("--grpc", default="localhost:8500", show_default=True, help="Host and port of the gRPC server.")
def command(directory: Path, lang: str, signature_def: str, model_name: str | None, rest: str, grpc: str) -> None:
    """Print a small client program for the model in the folder MODEL, ready to copy and run."""
    from tfx_export import snippets
    from tfx_export.errors import SpecError
    from tfx_export.sample_request import sample_request
    from tfx_export.savedmodel.reader import is_saved_model, read_signatures
    from tfx_export.savedmodel.string_inputs import StringInputs
    from tfx_export.savedmodel.version_folders import list_versions

    versions = list_versions(directory)
    version = next(iter(versions.values()), directory)
    signatures = read_signatures(version)
    if signature_def not in signatures:
        raise SpecError(
            f"The model has no signature {signature_def!r}.",
            hint=f"It has: {', '.join(signatures)}. Choose one with --signature-def.",
        )
    folder = directory.resolve()
    name = model_name or (folder.parent if is_saved_model(folder) else folder).name
    request = sample_request(signatures[signature_def], StringInputs(version, ["serve"]))
    click.echo(snippets.render(lang, name, signature_def, request, rest=rest, grpc=grpc), nl=False)
