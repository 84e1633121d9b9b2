"""Each error of the toolkit has an exit code, and is in the tree from which the documentation is generated."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.support.command_line import tfx_export
from tfx_export import errors

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


def test_a_model_too_slow_to_be_measured_ends_bench_with_a_message(served_models: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "probe.npz", loops=np.int32(200_000))
    options = ["--seconds=0.1", "--rounds=1", "--clients=1", f"--probe={tmp_path}/probe.npz"]
    done = tfx_export("bench", served_models / "slow", *options, code=6)
    assert "none was answered" in done.stderr
