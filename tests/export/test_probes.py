"""Generated probes fit the signature, and give different outputs for models that know only certain words or numbers."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import keras_models
from tfx_export import export_keras
from tfx_export.exporting.verification.probes import generate
from tfx_export.savedmodel.dtypes import numpy_dtype
from tfx_export.savedmodel.signature import PREDICT, Shape, Signature, TensorSpec
from tfx_export.savedmodel.string_inputs import StringInputs


@pytest.mark.parametrize("dtype", ["DT_FLOAT", "DT_HALF", "DT_INT8", "DT_INT32", "DT_BOOL"])
@pytest.mark.parametrize("shape", [(None, 5), (None,), (), (None, None, None, 3), (2, 3), None])
def test_each_probe_has_the_declared_dtype_and_shape(classifier: Path, dtype: str, shape: Shape | None) -> None:
    signature = Signature("s", PREDICT, {"x": TensorSpec("x:0", dtype, shape)}, {})
    for probe in islice(generate(signature, StringInputs(classifier, ["serve"])), 10):
        for request, rows in zip(probe.requests, probe.rows, strict=True):
            x = request["x"]
            assert x.dtype == numpy_dtype(dtype)
            if shape is None:
                continue
            assert x.ndim == len(shape)
            assert all(size in (None, actual) for size, actual in zip(shape, x.shape, strict=True))
            if shape[:1] == (None,):
                assert len(x) == rows
            if len(shape) == 4:
                # Some networks reduce smaller images to size 0, which ended the process with SIGFPE.
                assert min(x.shape[1:3]) >= 96


def text_lookup(layers: Any) -> Any:
    return layers.StringLookup(vocabulary=["red", "green", "blue"], output_mode="one_hot")


def number_lookup(layers: Any) -> Any:
    return layers.IntegerLookup(vocabulary=[10, 200, 3000], output_mode="one_hot")


@pytest.mark.parametrize(("dtype", "lookup"), [("string", text_lookup), ("int64", number_lookup)])
def test_probes_use_the_keys_of_lookup_tables(tmp_path: Path, dtype: str, lookup: Any) -> None:
    keras = keras_models.library("keras")
    word = keras.Input((1,), dtype=dtype, name="word")
    record = export_keras(keras.Model(word, lookup(keras.layers)(word)), tmp_path / "m").record
    assert record
    assert record.verification
    assert [check.verdict for check in record.verification.checks] == ["equal"]


def test_the_rows_of_a_probe_differ_by_more_than_noise(classifier: Path) -> None:
    signature = Signature("s", PREDICT, {"x": TensorSpec("x:0", "DT_FLOAT", (None, 64, 64, 3))}, {})
    probe = next(generate(signature, StringInputs(classifier, ["serve"])))
    means = probe.requests[0]["x"].mean(axis=(1, 2))
    assert float(np.ptp(means, axis=0).max()) > 0.3
