"""`tfx-export doctor` finds problems of the installation, says how to fix them, and does not import TensorFlow."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import tfx_export
from tfx_export.doctor import Finding, healthy, mistakes, versions

SHADOW = "serve.py"


def report(*arguments: str | Path, code: int = 0) -> dict[str, dict[str, Any]]:
    """Returns the findings by name."""
    content = json.loads(tfx_export("doctor", "--json", *arguments, code=code).stdout)
    assert content["healthy"] is (code == 0)
    return {finding["name"]: finding for finding in content["findings"]}


def test_a_healthy_installation_is_reported_with_its_versions(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert {
        name: found[name]["level"] for name in ("python", "tensorflow", "keras", "protobuf", "numpy")
    } == dict.fromkeys(("python", "tensorflow", "keras", "protobuf", "numpy"), "ok")
    assert {"cores", "memory", "instructions", "keras2", "litert", "otel", "native front"} <= set(found)
    assert str(tmp_path) in found["folder"]["found"]
    assert "TensorFlow" not in found


def test_the_text_output_has_the_same_findings(tmp_path: Path) -> None:
    lines = tfx_export("doctor", tmp_path).stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "Versions",
        "Processor",
        "Optional parts",
        "Environment",
    ]
    assert any(line.startswith("  + tensorflow ") for line in lines)


def test_tensorflow_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from tfx_export.cli import main\n"
        "try: main(['doctor', sys.argv[1]])\n"
        "finally: print(sorted({'tensorflow', 'keras'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.slow
def test_deep_runs_a_computation_in_tensorflow(tmp_path: Path) -> None:
    found = report("--deep", tmp_path)["TensorFlow"]
    assert found["level"] == "ok"
    assert "CPU:0" in found["found"]


def test_a_backend_that_cannot_be_exported_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    found = report(tmp_path, code=1)["KERAS_BACKEND"]
    assert (found["level"], found["advice"]) == ("problem", "export KERAS_BACKEND=tensorflow")


def test_a_port_in_use_gives_a_note() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        found = mistakes.port(number, "--port")
    assert (found.name, found.level) == (f"port {number}", "note")
    assert "--port=auto" in found.advice
    assert mistakes.port(number, "--port").level == "ok"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can write everywhere")
def test_a_read_only_folder_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert report(tmp_path, code=1)["folder"]["level"] == "problem"
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_in_which_files_cannot_be_created_is_a_problem() -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("this system has no /proc")
    assert report(folder, code=1)["folder"]["level"] == "problem"


def shadow(folder: Path) -> None:
    (folder / SHADOW).touch()


def keras_file(folder: Path) -> None:
    (folder / "keras.json").write_text('{"backend": "torch"}')


@pytest.mark.parametrize(
    ("name", "environment", "prepare"),
    [
        ("TF_ENABLE_ONEDNN_OPTS", {"TF_ENABLE_ONEDNN_OPTS": "0"}, None),
        ("TF_USE_LEGACY_KERAS", {"TF_USE_LEGACY_KERAS": "1"}, None),
        (
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
            {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"},
            None,
        ),
        ("http_proxy", {"http_proxy": "http://proxy:3128"}, None),
        (SHADOW, {}, shadow),
        ("keras.json", {}, keras_file),
    ],
)
def test_settings_and_files_with_surprising_effects_give_a_note(
    name: str, environment: dict[str, str], prepare: Callable[[Path], None] | None, tmp_path: Path
) -> None:
    clean = {"KERAS_HOME": str(tmp_path)}
    assert name not in {finding.name for finding in mistakes.findings(tmp_path, clean)}
    if prepare:
        prepare(tmp_path)
    findings = list(mistakes.findings(tmp_path, clean | environment))
    noted = {finding.name: finding for finding in findings}[name]
    assert noted.level == "note"
    assert noted.advice
    assert healthy(findings)


def test_a_checkout_of_this_project_gives_no_note_about_its_packages(tmp_path: Path) -> None:
    (tmp_path / "serve").mkdir()
    (tmp_path / "serve" / "__init__.py").touch()

    def names() -> set[str]:
        return {finding.name for finding in mistakes.findings(tmp_path, {"KERAS_HOME": str(tmp_path)})}

    assert "serve/__init__.py" in names()
    shutil.copy(Path(mistakes.__file__).parents[2] / "pyproject.toml", tmp_path)
    assert "serve/__init__.py" not in names()


def test_a_proxy_that_excludes_localhost_gives_no_note(tmp_path: Path) -> None:
    environment = {"KERAS_HOME": str(tmp_path), "http_proxy": "http://proxy:3128", "no_proxy": "example.org, localhost"}
    assert "http_proxy" not in {finding.name for finding in mistakes.findings(tmp_path, environment)}


def test_two_copies_of_a_package_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "protobuf-3.20.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: protobuf\nVersion: 3.20.0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = report(tmp_path, code=1)["protobuf"]
    assert found["level"] == "problem"
    assert found["found"].startswith("2 copies: 3.20.0 in ")


@pytest.mark.parametrize(
    ("line", "features"),
    [
        ("flags\t\t: fpu sse avx avx2 fma", ["avx", "avx2", "fma"]),
        ("Features\t: fp asimd bf16", ["asimd", "bf16"]),
        ("flags\t\t: fpu sse", []),
    ],
)
def test_cpu_features_are_read_from_cpuinfo(line: str, features: list[str], tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n{line}\n")
    assert versions.cpu_features(tmp_path / "cpuinfo") == features
    assert versions.cpu_features(tmp_path / "none") is None


def test_only_problems_make_an_installation_unhealthy() -> None:
    assert healthy([Finding("a", "b", "missing", ""), Finding("a", "b", "note", ""), Finding("a", "b", "ok", "")])
    assert not healthy([Finding("a", "b", "problem", "")])
