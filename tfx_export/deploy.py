"""Deployment files for a model folder, rendered from templates/deploy/."""

import sys
from pathlib import Path
from string import Template

from tfx_export import __version__
from tfx_export.errors import PublishError, SavedModelError, SpecError
from tfx_export.recognise import describe
from tfx_export.savedmodel.reader import is_saved_model
from tfx_export.savedmodel.version_folders import list_versions
from tfx_export.templates import templates

# The command to type after the files are written.
NEXT_COMMAND = {
    "docker": "docker build -t {service}-server {out} && docker run --rm -p 8500:8500 -p 8501:8501"
    ' -e MODEL_NAME={name} -v "{source}:/models/{name}:ro" {service}-server',
    "kubernetes": "kubectl apply -f {out}",
    "kserve": "kubectl apply -f {out}",
    "knative": "kubectl apply -f {out}",
    "ray": "serve run {out}/serve_config.yaml",
    "systemd": "cp {out}/{name}.service /etc/systemd/system/ && systemctl enable --now {name}",
}


def render(target: str, model: Path, out: Path, *, name: str | None = None, image: str | None = None) -> list[Path]:
    """Writes the files that serve the versions of `model` on `target`, a folder of templates/deploy/, into `out`.

    `name`: the name of the model, by default that of the folder. `image`: the container image, by default
    `NAME-server:latest`, which the docker target builds. Returns the files. Raises SavedModelError if `model` has no
    versions, PublishError if a file already exists or cannot be written.
    """
    name = _name(model, name)
    service = _service(name)
    values = {
        "name": name,
        "source": str(model.resolve()),
        "service": service,
        "storage": f"pvc://{service}-models",
        "image": image or f"{service}-server:latest",
        "version": __version__,
        "program": str(Path(sys.executable).with_name("tfx-export")),
    }
    rendered = {
        out / template.name.replace("server.service", f"{name}.service"): Template(template.read_text()).substitute(
            values
        )
        for template in sorted(templates(f"deploy/{target}").iterdir())
    }
    existing = [str(path) for path in rendered if path.exists()]
    if existing:
        raise PublishError(f"These files already exist: {', '.join(existing)}", hint="Choose another --out folder.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in rendered.items():
            path.write_text(text)
    except OSError as error:
        raise PublishError(f"Cannot write the files: {error}") from None
    return list(rendered)


def next_command(target: str, model: Path, out: Path, *, name: str | None = None) -> str:
    """Returns the command that uses the rendered files."""
    name = _name(model, name)
    service = _service(name)
    return NEXT_COMMAND[target].format(name=name, service=service, out=out, source=model.resolve())


def stock_docker_command(model: Path, *, name: str | None = None) -> str:
    """Returns the `docker run` command that serves `model` with the stock tensorflow/serving image."""
    name = _name(model, name)
    return (
        "docker run --rm -p 8500:8500 -p 8501:8501 "
        f'-v "{model.resolve()}:/models/{name}:ro" -e MODEL_NAME={name} tensorflow/serving'
    )


def _name(model: Path, name: str | None) -> str:
    """Returns the name of the model. Raises SavedModelError if the folder has no versions, SpecError for a bad name."""
    if is_saved_model(model):
        raise SavedModelError(
            f"{model} is a single version.", hint=f"Give the folder that holds the versions: {model.parent}"
        )
    if not list_versions(model):
        message, hint = describe(model, "a folder of versions")
        raise SavedModelError(message, hint=hint or f"Export a model: tfx-export keras MODEL --out {model} --version 1")
    name = name or model.resolve().name
    allowed = name.replace("-", "").replace("_", "")
    if not (allowed.isascii() and allowed.isalnum()):
        raise SpecError(
            f"{name!r} is not a valid service name.", hint="Choose one of letters, digits, - and _ with --model-name."
        )
    return name


def _service(name: str) -> str:
    """Returns the name for Kubernetes objects and images, which allow neither underscores nor capitals."""
    return name.lower().replace("_", "-")
