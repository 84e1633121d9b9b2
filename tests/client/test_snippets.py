"""Each program that `tfx-export client` prints runs without changes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import tfx_export
from tests.support.fronts import one_front
from tests.support.server import RunningServer
from tfx_export.sample_request import FilledTensor, SampleRequest
from tfx_export.snippets import render

PROGRAMS = {
    "curl": ("curl", ["bash"], "program.sh"),
    "python": (sys.executable, [sys.executable], "program.py"),
    "python-grpc": (sys.executable, [sys.executable], "program.py"),
    "javascript": ("node", ["node"], "program.mjs"),
    "go": ("go", ["go", "run"], "program.go"),
}

# model, signature, a part of the expected response
REQUESTS = [
    ("half_plus_two", "serving_default", "2.25"),
    ("words", "serving_default", "echo_bytes"),
    ("words", "classify", "cheap"),
    ("words", "regress", "0"),
    ("pictures", "serving_default", "0"),
    ("pictures", "measure", "1.5"),
    ("defaulted", "serving_default", "0.25"),
    ("slow", "serving_default", "0"),
]


@pytest.mark.slow
@one_front  # the responses do not depend on the front
@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize(("model", "signature", "says"), REQUESTS, ids=[f"{each[0]}-{each[1]}" for each in REQUESTS])
def test_a_printed_program_runs_without_changes(
    server: RunningServer, served_models: Path, tmp_path: Path, language: str, model: str, signature: str, says: str
) -> None:
    needed, command, name = PROGRAMS[language]
    if shutil.which(needed) is None:
        pytest.skip(f"{needed} is not installed")
    flags = ["--lang", language, "--rest", server.rest, "--grpc", server.grpc, "--signature_def", signature]
    (tmp_path / name).write_text(tfx_export("client", served_models / model, *flags).stdout)
    done = subprocess.run([*command, str(tmp_path / name)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout, done.stdout


@pytest.mark.parametrize("language", PROGRAMS)
def test_names_of_a_model_are_never_executed_as_code(language: str) -> None:
    programs = []
    for name in ("plain", "evil\"'\\\n\u2028BODY\n$(touch x)"):
        programs.append(
            render(language, name, name, SampleRequest("predict", {name: FilledTensor("DT_FLOAT", (1,), 0.5)}))
        )
    plain, evil = (program.split("\n") for program in programs)
    assert len(evil) == len(plain)
    assert len(evil[0].splitlines()) == 1, "the name ended the comment at the top"


def test_the_error_for_an_unknown_signature_lists_the_existing_ones(served_models: Path) -> None:
    said = tfx_export("client", served_models / "words", "--signature_def", "nope", code=2).stderr
    assert "serving_default" in said
