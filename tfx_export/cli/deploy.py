"""`tfx-export deploy`: files that run the server elsewhere."""

from pathlib import Path

import click

from tfx_export.templates import templates

TARGETS = sorted(folder.name for folder in templates("deploy").iterdir())


@click.command()
@click.argument("target", type=click.Choice(TARGETS))
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files.")
@click.option("--model-name", help="Name of the model; by default the name of DIR.")
@click.option("--image", help="Container image to run; by default NAME-server:latest, which the docker target builds.")
@click.option(
    "--runtime",
    type=click.Choice(["tfx-export", "tensorflow-serving"]),
    default="tfx-export",
    help="With docker: print the line that serves DIR with the stock tensorflow/serving image instead.",
)
def command(
    target: str, directory: Path, out: Path | None, model_name: str | None, image: str | None, runtime: str
) -> None:
    """Write files that serve the model folder DIR on docker, kubernetes, kserve, knative, ray or systemd."""
    from tfx_export import deploy

    if runtime == "tensorflow-serving":
        if target != "docker":
            raise click.UsageError("--runtime tensorflow-serving goes with the target docker.")
        click.echo(deploy.stock_docker_command(directory, name=model_name))
        return
    if out is None:
        raise click.UsageError(f"Say where the files go: tfx-export deploy {target} {directory} --out FOLDER")
    for path in deploy.render(target, directory, out, name=model_name, image=image):
        click.echo(f"wrote {path}")
    click.echo(f"\nNext: {deploy.next_command(target, directory, out, name=model_name)}")
