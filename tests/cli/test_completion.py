"""Shell completion, which click provides, works although commands are imported only when they are used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("tfx-export")
SHELLS = ("bash", "zsh", "fish")


def completed(shell: str, *words: str) -> str:
    """Returns the completions of the last of `words`, as the program prints them for `shell`."""
    line = " ".join(("tfx-export", *words))
    # fish sends the last word separately; the other shells send its position.
    request = {"COMP_WORDS": line, "COMP_CWORD": words[-1] if shell == "fish" else str(len(words))}
    environment = os.environ | request | {"_TFX_EXPORT_COMPLETE": f"{shell}_complete"}
    return subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (("sh",), ("show",)),
        (("s",), ("serve", "session", "savedmodel", "show", "scan", "sig", "status")),
        (("show", "--tag"), ("--tag-set",)),
        (("sig", "rename-"), ("rename-input", "rename-output")),
        (("deploy", "ku"), ("kubernetes",)),
    ],
    ids=" ".join,
)
def test_commands_options_and_choices_are_completed(
    shell: str, words: tuple[str, ...], candidates: tuple[str, ...]
) -> None:
    answer = completed(shell, *words)
    lines = answer.splitlines()
    if shell == "bash":
        found = {line.partition(",")[2] for line in lines}
    elif shell == "fish":
        found = {line.partition(",")[2].partition("\t")[0] for line in lines if "," in line}
    else:
        found = set(lines[1::3])  # type, value, help
    assert set(candidates) <= found
    assert all(each.startswith(words[-1]) for each in found)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_can_parse_the_script(shell: str, tmp_path: Path) -> None:
    environment = os.environ | {"_TFX_EXPORT_COMPLETE": f"{shell}_source"}
    done = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert "_TFX_EXPORT_COMPLETE" in done.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "completion"
    script.write_text(done.stdout)
    subprocess.run([shell, "-n", script], check=True)


def test_bash_completes_with_the_script() -> None:
    """After the script is sourced, the function that bash calls on Tab fills COMPREPLY."""
    program = (
        'eval "$(_TFX_EXPORT_COMPLETE=bash_source tfx-export)"\n'
        'COMP_WORDS=(tfx-export rollb) COMP_CWORD=1; _tfx_export_completion tfx-export; echo "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "rollback"


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_with_the_script() -> None:
    program = '_TFX_EXPORT_COMPLETE=fish_source tfx-export | source; complete -C "tfx-export rollb"'
    environment = os.environ | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["fish", "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "rollback"
