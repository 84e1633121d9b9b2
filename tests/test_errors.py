"""Each error of the toolkit has an exit code, and is in the tree from which the documentation is generated."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tfx_export import errors
from tfx_export.cli import main
from tfx_export.load.generator import LoadError

# In a separate process, because some modules are programs that import TensorFlow.
EVERY_ERROR = """
import pkgutil, sys
from importlib import import_module
import tfx_export

for module in pkgutil.walk_packages(tfx_export.__path__, "tfx_export."):
    if not module.name.endswith("__main__"):
        import_module(module.name)

def print_errors(parent):
    for kind in parent.__subclasses__():
        name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("tfx_export.").removeprefix("errors.")
        first_sentence = kind.__doc__.strip().splitlines()[0].rstrip(".")
        print(name, vars(kind).get("exit_code"), first_sentence, sep="|")
        print_errors(kind)

print_errors(tfx_export.errors.TfxExportError)
"""


def test_the_tree_lists_each_error_with_its_exit_code_and_meaning() -> None:
    done = subprocess.run([sys.executable, "-c", EVERY_ERROR], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    drawn = re.findall(r"[├└]── ([\w.]+) +(\d+)  (.+)", errors.__doc__ or "")
    assert {tuple(line.split("|")) for line in done.stdout.splitlines()} == set(drawn)


def test_a_command_that_ends_in_a_load_error_exits_with_its_code_and_message(
    served_models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure_model(*_: object, **__: object) -> NoReturn:
        raise LoadError("The load test of 127.0.0.1:8500 failed: no request was answered")

    monkeypatch.setattr("tfx_export.bench.measure_model.measure_model", measure_model)
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(served_models / "half_plus_two")])
    assert ended.value.code == LoadError.exit_code == 6
    assert "Error: The load test of 127.0.0.1:8500" in capsys.readouterr().err
