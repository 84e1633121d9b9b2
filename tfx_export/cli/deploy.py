"""`tfx-export deploy`: writes files that run the server on a deployment platform."""

from pathlib import Path

import click

from tfx_export.templates import templates

TARGETS = sorted(folder.name for folder in templates("deploy").iterdir())


@click.command()
@click.argument("target", type=click.Choice(TARGETS))
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write the files into this folder.")
@click.option("--model-name", help="Name of the model.  [default: name of DIR]")
@click.option("--image", help="Container image to run.  [default: NAME-server:latest, which the docker target builds]")
@click.option(
    "--runtime",
    type=click.Choice(["tfx-export", "tensorflow-serving"]),
    default="tfx-export",
    help="With tensorflow-serving: print the docker command that serves DIR with the stock image.",
)
def command(
    target: str, directory: Path, out: Path | None, model_name: str | None, image: str | None, runtime: str
) -> None:
    """Write files to serve the model folder DIR on docker, kubernetes, kserve, knative, ray or systemd."""
    from tfx_export import deploy

    if runtime == "tensorflow-serving":
        if target != "docker":
            raise click.UsageError("--runtime tensorflow-serving needs the target docker.")
        click.echo(deploy.stock_docker_command(directory, name=model_name))
        return
    if out is None:
        raise click.UsageError(f"Missing option --out. Type: tfx-export deploy {target} {directory} --out FOLDER")
    for path in deploy.render(target, directory, out, name=model_name, image=image):
        click.echo(f"wrote {path}")
    click.echo(f"\nNext: {deploy.next_command(target, directory, out, name=model_name)}")
