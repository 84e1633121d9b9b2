"""The names, dtypes, shapes and values of variables equal those that TensorFlow reads, for each kind of SavedModel."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfx_export.errors import SavedModelError
from tfx_export.savedmodel.checkpoint import read_variables

MODELS = ["tf1_linear", "tf1_tag_sets", "tf1_partitioned", "tf2_polymorphic", "keras3_export", "keras2_saved"]

READ_WITH_TENSORFLOW = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
found = {}
for folder in sys.argv[1:]:
    reader = tf.train.load_checkpoint(folder + "/variables/variables")
    found[folder] = {
        name: [dtype.name, reader.get_variable_to_shape_map()[name], reader.get_tensor(name).tobytes().hex()]
        for name, dtype in reader.get_variable_to_dtype_map().items()
        if dtype != tf.string
    }
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def expected(saved_models: Path) -> dict[str, dict[str, Any]]:
    folders = [str(saved_models / model) for model in MODELS]
    done = subprocess.run([sys.executable, "-c", READ_WITH_TENSORFLOW, *folders], stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    return {model: found[folder] for model, folder in zip(MODELS, folders, strict=True)}


@pytest.mark.parametrize("model", MODELS)
def test_variables_equal_those_that_tensorflow_reads(
    model: str, saved_models: Path, expected: dict[str, dict[str, Any]]
) -> None:
    wanted = {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): value for name, value in expected[model].items()}
    variables = [variable for variable in read_variables(saved_models / model) if variable.dtype != "DT_STRING"]
    if model == "tf1_partitioned":
        # Each part has its own name here; TensorFlow shows the whole variable.
        whole = np.concatenate([each.values() for each in variables if each.name.startswith("w")])
        assert whole.tobytes().hex() == wanted.pop("w")[2]
        variables = [variable for variable in variables if not variable.name.startswith("w")]
    assert {each.name for each in variables} == set(wanted)
    for variable in variables:
        dtype, shape, content = wanted[variable.name]
        values = variable.values()
        assert (values.dtype.name, list(variable.shape)) == (dtype, shape)
        assert values.tobytes().hex() == content
        assert not variable.is_damaged()


def test_a_model_without_variables_gives_an_empty_list(saved_models: Path) -> None:
    assert read_variables(saved_models / "tf1_sparse") == []


@pytest.mark.parametrize("length", [0, 10, 60])
def test_a_truncated_index_raises_an_error(length: int, saved_models: Path, tmp_path: Path) -> None:
    shutil.copytree(saved_models / "tf1_linear", tmp_path / "1")
    index = tmp_path / "1" / "variables" / "variables.index"
    index.write_bytes(index.read_bytes()[:length])
    with pytest.raises(SavedModelError, match="damaged"):
        read_variables(tmp_path / "1")


def test_damaged_bytes_of_an_index_are_detected(saved_models: Path, tmp_path: Path) -> None:
    shutil.copytree(saved_models / "tf1_linear", tmp_path / "1")
    index = tmp_path / "1" / "variables" / "variables.index"
    whole = index.read_bytes()
    refused = 0
    for place in range(len(whole)):
        index.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_variables(tmp_path / "1")
        except SavedModelError:
            refused += 1
    # An unused block of 13 bytes and most of the 48-byte footer do not matter.
    assert refused >= len(whole) - 13 - 48
