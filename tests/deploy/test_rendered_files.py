"""`tfx-export deploy` writes files that the platforms accept: each is checked against the schema of its kind."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from tfx_export.cli import cli, main

SCHEMAS = Path(__file__).parent / "schemas"

FILES = [
    ("docker", "compose.yaml", "compose"),
    ("kubernetes", "deployment.yaml", "deployment"),
    ("kubernetes", "service.yaml", "service"),
    ("kubernetes", "hpa.yaml", "hpa"),
    ("kserve", "servingruntime.yaml", "servingruntime"),
    ("kserve", "inferenceservice.yaml", "inferenceservice"),
    ("knative", "service.yaml", "knative"),
    ("ray", "serve_config.yaml", "serve_config"),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder with a name that is not valid for a Kubernetes object."""
    folder = tmp_path / "My_digits"
    (folder / "1").mkdir(parents=True)
    return folder


def deploy(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["deploy", *map(str, arguments)], catch_exceptions=False)


def schema(kind: str) -> Any:
    common = yaml.safe_load((SCHEMAS / "common.yaml").read_text())
    return {**yaml.safe_load((SCHEMAS / f"{kind}.yaml").read_text()), **common}


@pytest.mark.parametrize(("target", "file", "kind"), FILES)
def test_each_file_is_valid_for_the_schema_of_its_kind(
    target: str, file: str, kind: str, model: Path, tmp_path: Path
) -> None:
    assert deploy(target, model, "--out", tmp_path / "out").exit_code == 0
    jsonschema.validate(yaml.safe_load((tmp_path / "out" / file).read_text()), schema(kind))


@pytest.mark.parametrize(("target", "file", "kind"), FILES)
def test_the_schema_rejects_a_misspelled_field(target: str, file: str, kind: str, model: Path, tmp_path: Path) -> None:
    deploy(target, model, "--out", tmp_path / "out")
    document = yaml.safe_load((tmp_path / "out" / file).read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "sepc": {}}, schema(kind))


def test_all_placeholders_are_replaced(model: Path, tmp_path: Path) -> None:
    for target in ("docker", "kubernetes", "kserve", "knative", "ray", "systemd"):
        deploy(target, model, "--out", tmp_path / target)
        for file in (tmp_path / target).iterdir():
            assert "$name" not in file.read_text()
            assert "$service" not in file.read_text()


# Platform, the file that describes the pods, the field that limits how long a pod takes to stop, and the platform's
# default for it. For Knative this is the maximum duration of a request.
STOPS = [
    ("kubernetes", "deployment.yaml", "terminationGracePeriodSeconds", None),
    ("kserve", "servingruntime.yaml", "terminationGracePeriodSeconds", 30),
    ("knative", "service.yaml", "timeoutSeconds", None),
]


@pytest.mark.parametrize(("target", "file", "grace", "default"), STOPS, ids=[target for target, *_ in STOPS])
def test_pods_have_time_to_drain_and_restricted_rights(
    target: str, file: str, grace: str, default: int | None, model: Path, tmp_path: Path
) -> None:
    deploy(target, model, "--out", tmp_path / "out")
    spec = yaml.safe_load((tmp_path / "out" / file).read_text())["spec"]
    pod = spec["template"]["spec"] if "template" in spec else spec
    (container,) = pod["containers"]
    drain = next(int(each.partition("=")[2]) for each in container["args"] if each.startswith("--drain_seconds="))
    before = int(container["lifecycle"]["preStop"]["exec"]["command"][1]) if "lifecycle" in container else 0
    assert pod.get(grace, default) > drain + before
    # Required by the Pod Security Standard `restricted`.
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_systemd_waits_until_the_server_is_drained(model: Path, tmp_path: Path) -> None:
    deploy("systemd", model, "--out", tmp_path / "out")
    unit = (tmp_path / "out" / "My_digits.service").read_text()
    assert f"--model_base_path={model}" in unit
    assert "--drain_seconds=30" in unit
    assert "TimeoutStopSec=45" in unit
    assert "KillMode=mixed" in unit, "workers would be told to stop while they answer"


def test_the_stock_runtime_gets_its_docker_command_printed(model: Path) -> None:
    result = deploy("docker", model, "--runtime", "tensorflow-serving")
    assert result.output == (
        f'docker run --rm -p 8500:8500 -p 8501:8501 -v "{model}:/models/My_digits:ro" '
        "-e MODEL_NAME=My_digits tensorflow/serving\n"
    )


def exit_code(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as exited:
        main(["deploy", *map(str, arguments)])
    return exited.value.code


def test_existing_files_are_not_overwritten(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "out" / "service.yaml"
    mine.parent.mkdir()
    mine.write_text("mine")
    assert exit_code("kubernetes", model, "--out", mine.parent) == 4
    assert "service.yaml" in capsys.readouterr().err
    assert [path.name for path in mine.parent.iterdir()] == ["service.yaml"]
    assert mine.read_text() == "mine"


def test_a_folder_without_versions_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("docker", tmp_path, "--out", tmp_path / "out") == 2
    assert "tfx-export keras" in capsys.readouterr().err


def test_a_version_folder_is_refused_and_its_parent_suggested(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "1" / "saved_model.pb").touch()
    assert exit_code("docker", model / "1", "--out", model / "out") == 2
    assert f"folder that holds the versions: {model}" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    "arguments",
    [["kubernetes", "--runtime", "tensorflow-serving"], ["kubernetes"], ["heroku", "--out", "out"]],
)
def test_wrong_usage_gives_exit_code_2(arguments: list[str], model: Path) -> None:
    assert exit_code(arguments[0], model, *arguments[1:]) == 2
