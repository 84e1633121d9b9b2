"""Every program that `tfx-export client` prints runs as it was copied."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import tfx_export
from tests.support.server import RunningServer

PROGRAMS = {
    "curl": ("curl", ["bash"], "program.sh"),
    "python": (sys.executable, [sys.executable], "program.py"),
    "python-grpc": (sys.executable, [sys.executable], "program.py"),
    "javascript": ("node", ["node"], "program.mjs"),
    "go": ("go", ["go", "run"], "program.go"),
}

# model, signature, what the answer must hold (inputs are 0.5 and 0; gRPC sends zeros)
ASKED = [("half_plus_two", "serving_default", ("2.25", "2.")), ("words", "serving_default", ("",))]


@pytest.mark.slow
@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize(("model", "signature", "says"), ASKED, ids=[model for model, _, _ in ASKED])
def test_program_runs_as_copied(
    server: RunningServer,
    served_models: Path,
    tmp_path: Path,
    language: str,
    model: str,
    signature: str,
    says: tuple[str, ...],
) -> None:
    needed, command, name = PROGRAMS[language]
    if shutil.which(needed) is None:
        pytest.skip(f"no {needed} on this machine")
    flags = ["--lang", language, "--rest", server.rest, "--grpc", server.grpc, "--signature_def", signature]
    (tmp_path / name).write_text(tfx_export("client", served_models / model, *flags).stdout)
    done = subprocess.run([*command, str(tmp_path / name)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(one in done.stdout for one in says), done.stdout


def test_unknown_signature_names_those_that_exist(served_models: Path) -> None:
    said = tfx_export("client", served_models / "words", "--signature_def", "nope", code=2).stderr
    assert "serving_default" in said
