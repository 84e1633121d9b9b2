"""The LiteRT engine: right outputs from many threads at any batch size, clear errors, no import of TensorFlow."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve import engines
from serve.config import Config
from serve.errors import Code, ServeError
from serve.loaded_model import LoadedModel
from tests.support import three_signatures
from tests.support.server import PATIENCE, starting, wait_until
from tfx_export.savedmodel.export_record import TFLITE
from tfx_export.savedmodel.signature import PREDICT, REGRESS, Signature

pytest.importorskip("ai_edge_litert")
LITERT = Config(engine="litert")


def load(path: Path, **changes: Any) -> LoadedModel:
    return engines.load(path, replace(LITERT, **changes))


def test_outputs_and_signatures_equal_those_of_the_saved_model(accelerated: Path) -> None:
    model = load(accelerated)
    assert model.engine == "litert"
    tensorflow = engines.load(accelerated, Config(engine="tensorflow"))
    assert model.signatures == {"serving_default": tensorflow.signatures["serving_default"]}
    for rows in (1, 3, 8, 1, 0):
        x = np.random.default_rng(rows).standard_normal((rows, 12)).astype(np.float32)
        expected = three_signatures.answer(three_signatures.weights(), "serving_default", {"x": x})["y"]
        answers = model.run("serving_default", {"x": x}, ["y"])
        assert list(answers) == ["y"]
        np.testing.assert_allclose(answers["y"], expected, rtol=1e-5, atol=1e-6)
    model.close()
    tensorflow.close()


@pytest.mark.parametrize("pools", [0, 1, 3])
def test_each_thread_gets_its_own_outputs(accelerated: Path, pools: int) -> None:
    model = load(accelerated, num_tflite_pools=pools)

    def error(seed: int) -> float:
        x = np.random.default_rng(seed).standard_normal((seed % 5 + 1, 12)).astype(np.float32)
        expected = three_signatures.answer(three_signatures.weights(), "serving_default", {"x": x})["y"]
        return float(np.abs(model.run("serving_default", {"x": x}, ["y"])["y"] - expected).max())

    with ThreadPoolExecutor(8) as threads:
        assert max(threads.map(error, range(400))) < 1e-5
    model.close()


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros((2, 5), np.float32), r"Shape of input x \[2,5\] is not compatible with expected shape \[\?,12\]"),
        (np.zeros(12, np.float32), r"Shape of input x \[12\] is not"),
        (np.zeros((12, 1), np.float32), r"Shape of input x \[12,1\] is not"),
        (np.zeros((2, 1, 12), np.float32), r"Shape of input x \[2,1,12\] is not"),
        (np.float32(1), r"Shape of input x \[\] is not"),
        (np.zeros((2, 12)), "Input x is DT_DOUBLE, expected DT_FLOAT"),
        (np.full((2, 12), b"", object), "Input x is DT_STRING, expected DT_FLOAT"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_and_later_ones_are_answered(
    accelerated: Path, x: np.ndarray, text: str
) -> None:
    model = load(accelerated, num_tflite_pools=1)
    for _ in range(2):
        with pytest.raises(ServeError, match=text) as caught:
            model.run("serving_default", {"x": np.asarray(x)}, ["y"])
        assert caught.value.code is Code.INVALID_ARGUMENT
    assert model.run("serving_default", {"x": np.zeros((2, 12), np.float32)}, ["y"])["y"].shape == (2, 3)


# Files without signatures, as many converters write them: function, inputs, shape of the output.
BARE: dict[str, tuple[Callable[..., Any], dict[str, Any], Mapping[str, np.ndarray], np.ndarray]] = {
    "text": (
        lambda a: a[::-1],
        {"a": ([None], "string")},
        {"a": np.array([b"x", b"\xff\0", b""], object)},
        np.array([b"", b"\xff\0", b"x"], object),
    ),
    "free shape": (
        lambda a, b: a @ b,
        {"a": ([None, None], "float32"), "b": ([None, None], "float32")},
        {"a": np.ones((2, 3), np.float32), "b": np.ones((3, 4), np.float32)},
        np.full((2, 4), 3, np.float32),
    ),
    "integers": (
        lambda a: a + a,
        {"a": ([None, 2], "int64")},
        {"a": np.array([[2**40, 1]])},
        np.array([[2**41, 2]]),
    ),
    "logical": (lambda a: ~a, {"a": ([None], "bool")}, {"a": np.array([True, False])}, np.array([False, True])),
}


# Many converters declare a batch of one.
BARE["half plus two"] = (
    lambda a: a * 0.5 + 2,
    {"a": ([1, 1], "float32")},
    {"a": np.array([[2.0]], np.float32)},
    np.array([[3.0]], np.float32),
)


@pytest.fixture(scope="module")
def bare_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("bare")
    for name, (function, inputs, _, _) in BARE.items():
        specs = [tf.TensorSpec(shape, dtype, name=alias) for alias, (shape, dtype) in inputs.items()]
        module = tf.Module()
        concrete = tf.function(function).get_concrete_function(*specs)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
        (folder / name).mkdir()
        (folder / name / TFLITE).write_bytes(_without_signatures(converter.convert()))
    return folder


def _without_signatures(content: bytes) -> bytes:
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    model.signatureDefs = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@pytest.mark.parametrize("name", BARE)
def test_a_file_without_signatures_is_served_by_its_tensor_names(bare_files: Path, name: str) -> None:
    _, _, inputs, expected = BARE[name]
    model = load(bare_files / name)
    signature = model.signatures["serving_default"]
    assert signature.method == PREDICT
    named = {next(key for key in signature.inputs if alias in key): value for alias, value in inputs.items()}
    (output,) = model.run("serving_default", named, list(signature.outputs)).values()
    np.testing.assert_array_equal(output, expected)
    assert output.dtype == expected.dtype


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 1), (3, 1), (0, 1)])
def test_a_declared_batch_of_one_accepts_any_batch(bare_files: Path, shape: tuple[int, ...]) -> None:
    model = load(bare_files / "half plus two")
    (alias,), outputs = model.signatures["serving_default"].inputs, [*model.signatures["serving_default"].outputs]
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    (y,) = model.run("serving_default", {alias: x}, outputs).values()
    np.testing.assert_array_equal(y, x.reshape(-1, 1) / 2 + 2)
    for odd in ((1, 2), (1, 1, 1), ()):
        with pytest.raises(ServeError, match="is not compatible with expected shape"):
            model.run("serving_default", {alias: np.ones(odd, np.float32)}, outputs)


@pytest.mark.parametrize("numbered", [True, False])
def test_signatures_in_the_metadata_are_served(bare_files: Path, tmp_path: Path, numbered: bool) -> None:
    """Old converters wrote signatures to the metadata; the oldest dropped the `:0` of tensor names."""
    content = (bare_files / "half plus two" / TFLITE).read_bytes()
    bare = load(bare_files / "half plus two").signatures["serving_default"]
    (given,), (answered,) = bare.inputs.values(), bare.outputs.values()
    told = Signature("halved", REGRESS, {"x": given}, {"outputs": answered})
    (tmp_path / TFLITE).write_bytes(_with_metadata(content, told, numbered))
    model = load(tmp_path)
    assert {name: signature.method for name, signature in model.signatures.items()} == {"halved": REGRESS}
    assert model.run("halved", {"x": np.array([2.0], np.float32)}, ["outputs"])["outputs"].tolist() == [[3.0]]
    unknown = replace(told, inputs={"x": replace(given, tensor="missing:0")})
    (tmp_path / TFLITE).write_bytes(_with_metadata(content, unknown, numbered))
    with pytest.raises(ServeError, match="x of its signature references an unknown tensor 'missing'"):
        load(tmp_path)


def _with_metadata(content: bytes, signature: Signature, numbered: bool) -> bytes:
    from flatbuffers import flexbuffers
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    class Text(str):
        """Text that encodes to the bytes of the signature: the builder takes only text."""

        def encode(self, *_: str) -> bytes:
            return bytes(signature.to_proto().SerializeToString())

    builder = flexbuffers.Builder()
    with builder.Map():
        builder.String(signature.name, Text())
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    for each in model.subgraphs[0].tensors:
        each.name = each.name if numbered else each.name.partition(b":")[0]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(builder.Finish())
    entry.name, entry.buffer = "signature_defs_metadata", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_a_shape_that_only_the_runtime_refuses_leaves_the_model_serving(bare_files: Path) -> None:
    model = load(bare_files / "free shape", num_tflite_pools=1)
    signature = model.signatures["serving_default"]
    a, b = sorted(signature.inputs)
    for _ in range(3):
        with pytest.raises(ServeError, match="cannot take these inputs"):
            model.run(
                "serving_default",
                {a: np.ones((2, 3), np.float32), b: np.ones((4, 4), np.float32)},
                [*signature.outputs],
            )
    good = {a: np.ones((2, 3), np.float32), b: np.ones((3, 1), np.float32)}
    (output,) = model.run("serving_default", good, [*signature.outputs]).values()
    np.testing.assert_array_equal(output, [[3], [3]])


@pytest.mark.parametrize(
    ("damage", "code", "text"),
    [
        (lambda data: None, Code.NOT_FOUND, "no model.tflite"),
        (lambda data: b"", Code.INVALID_ARGUMENT, "cannot be loaded"),
        (lambda data: b"junk" * 100, Code.INVALID_ARGUMENT, "cannot be loaded"),
        (lambda data: data[: len(data) // 2], Code.INVALID_ARGUMENT, "cannot be loaded"),
    ],
)
def test_a_file_that_is_not_a_model_is_refused(
    tmp_path: Path, accelerated: Path, damage: Callable[[bytes], bytes | None], code: Code, text: str
) -> None:
    content = damage((accelerated / TFLITE).read_bytes())
    if content is not None:
        (tmp_path / TFLITE).write_bytes(content)
    with pytest.raises(ServeError, match=text) as caught:
        load(tmp_path)
    assert caught.value.code is code


def test_overwriting_the_file_in_place_does_not_end_the_process(tmp_path: Path, accelerated: Path) -> None:
    (tmp_path / TFLITE).write_bytes((accelerated / TFLITE).read_bytes())
    model = load(tmp_path)
    (tmp_path / TFLITE).write_bytes(b"")
    x = np.zeros((2, 12), np.float32)
    assert model.run("serving_default", {"x": x}, ["y"])["y"].shape == (2, 3)


def test_a_load_that_fails_temporarily_is_retried(accelerated: Path, tmp_path: Path) -> None:
    file = tmp_path / "model" / "1" / TFLITE
    file.mkdir(parents=True)  # a folder in its place cannot be read
    flags = "--engine=litert", "--front=python", "--load_retry_interval_micros=200000", str(tmp_path / "model")
    with starting(tmp_path, *flags, "--max_num_load_retries=2") as (process, _, log):
        assert process.wait(PATIENCE) == 1
        assert log.read_text().count("version 1: LOADING, UNAVAILABLE") == 2
        assert "version 1: END, UNAVAILABLE" in log.read_text()
    with starting(tmp_path, *flags, "--max_num_load_retries=1000") as (process, ready, log):
        wait_until(lambda: "LOADING, UNAVAILABLE" in log.read_text())
        file.rmdir()
        file.write_bytes((accelerated / TFLITE).read_bytes())
        wait_until(ready.exists)
        assert process.poll() is None


def test_tensorflow_is_not_imported(accelerated: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import numpy as np
from serve import engines
from serve.config import Config
model = engines.load(Path({str(accelerated)!r}), Config(engine="litert"))
model.run("serving_default", {{"x": np.zeros((2, 12), np.float32)}}, ["y"])
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
