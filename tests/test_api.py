"""The Python API: names like the commands, available from the package root, and no framework before it is needed."""

import subprocess
import sys
from pathlib import Path

import pytest

import tfx_export

INSPECTING = """
import shutil, sys, tfx_export
folder, work = sys.argv[1:]
shutil.copytree(folder, work + "/1")
assert tfx_export.show(folder).meta_graphs[0].signatures["any"].inputs["any"].shape is None
assert not tfx_export.scan(folder).findings
assert not tfx_export.diff(folder, work + "/1").breaking
editor = tfx_export.SignatureEditor(folder)
editor.rename("any", "every")
editor.save_copy(work + "/2")
assert [entry.version for entry in tfx_export.versions(work)] == [2, 1]
assert tfx_export.rollback(work)[1].name == "3"
print(sorted({"tensorflow", "keras", "click", "rich"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", tfx_export.__all__)
def test_each_public_name_exists_and_has_a_docstring(name: str) -> None:
    value = getattr(tfx_export, name)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'shwo'"):
        getattr(tfx_export, "shwo")  # noqa: B009


def test_inspecting_and_editing_import_neither_a_framework_nor_the_command_line(
    saved_models: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", INSPECTING, str(saved_models / "tf2_polymorphic"), str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("program", "imported"),
    [
        ("", {"sklearn", "keras"}),
        ("skip_unneeded_packages()", {"keras"}),
        ("skip_unneeded_packages(keras=False)", set()),
        ("from serve.engines.tensorflow_setup import tensorflow_engine; tensorflow_engine()", set()),
    ],
)
def test_unneeded_packages_are_imported_only_when_user_code_needs_them(program: str, imported: set[str]) -> None:
    code = (
        "import gc, sys\n"
        f"from tfx_export.tensorflow_import import import_tensorflow, skip_unneeded_packages\n{program}\n"
        "import_tensorflow(); print(*{'sklearn', 'keras'} & set(sys.modules)); assert gc.isenabled()\n"
        "import sklearn.base, keras, tensorflow; print(tensorflow.keras.layers.Dense is keras.layers.Dense)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, same = done.stdout.splitlines()
    assert (set(names.split()), same) == (imported, "True")
