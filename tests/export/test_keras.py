"""A Keras file is exported as a SavedModel with the same outputs and the names of the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support import keras_models
from tests.support.loaders import run_in_session, run_loaded
from tfx_export import Exported, export_keras
from tfx_export.errors import PublishError, SpecError, TfxExportError, VerificationError, VersionError
from tfx_export.exporting.job import Extras
from tfx_export.savedmodel import export_record
from tfx_export.savedmodel.reader import read_signatures

# For tests that compare outputs themselves or do not compute any.
UNVERIFIED = Extras(verify=False)

FILES = [
    (kind, library, suffix)
    for kind in keras_models.KINDS
    for library, suffix in (("keras", ".keras"), ("keras", ".h5"), ("tf_keras", ".h5"))
]


def weight_bytes(model: Any) -> int:
    return sum(weight.nbytes for weight in model.get_weights())


@pytest.mark.parametrize(("kind", "library", "suffix"), FILES)
def test_the_export_gives_the_outputs_of_the_model(tmp_path: Path, kind: str, library: str, suffix: str) -> None:
    file = keras_models.save(kind, library, tmp_path / f"model{suffix}")
    exported = export_keras(file, tmp_path / "served", extras=UNVERIFIED)

    assert exported.path == tmp_path / "served" / "1"
    signature = read_signatures(exported.path)["serving_default"]
    expected = keras_models.KINDS[kind]
    assert signature.method == "tensorflow/serving/predict"
    assert set(signature.inputs) == set(expected.inputs)
    assert set(signature.outputs) == set(expected.outputs)
    tensors = [*signature.inputs.values(), *signature.outputs.values()]
    assert all(spec.shape and spec.shape[0] is None for spec in tensors)

    model = keras_models.library(library).models.load_model(file, compile=False)
    inputs = keras_models.inputs_for(signature)
    truth = expected.outputs_of(model, inputs)
    for run in (run_in_session, run_loaded):
        answers = run(exported.path, inputs)
        for name, value in truth.items():
            np.testing.assert_allclose(answers[name], value, rtol=1e-5, atol=1e-6)


def test_each_weight_is_written_once(tmp_path: Path) -> None:
    keras = keras_models.library("keras")
    model = keras.Sequential([keras.Input((400,)), keras.layers.Dense(2000), keras.layers.Dense(500)])
    exported = export_keras(model, tmp_path / "m", extras=UNVERIFIED)
    assert weight_bytes(model) <= exported.weight_bytes <= exported.bytes <= 1.05 * weight_bytes(model)


def test_inputs_and_outputs_can_be_renamed(tmp_path: Path) -> None:
    file = keras_models.save("two_in_two_out", "keras", tmp_path / "m.keras")
    exported = export_keras(
        file, tmp_path / "m", input_names={"image": "pixels"}, output_names={"kind": "price_2"}, extras=UNVERIFIED
    )
    signature = read_signatures(exported.path)["serving_default"]
    assert set(signature.inputs) == {"pixels", "age"}
    assert set(signature.outputs) == {"price_2", "price"}


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_note_says_how_to_name_an_input_without_a_name(tmp_path: Path, library: str) -> None:
    keras = keras_models.library(library)
    given = keras.Input((3,))
    layers = [keras.layers.Dense(2)]
    model = keras.Sequential(layers) if library == "keras" else keras.Model(given, layers[0](given))
    model(np.ones((1, 3)))
    exported = export_keras(model, tmp_path / "m", extras=UNVERIFIED)
    (name,) = exported.signatures[0].inputs
    (note,) = exported.notes
    assert note.endswith(f"--input-name {name}=NAME")
    renamed = export_keras(model, tmp_path / "m", input_names={name: "pixels"}, extras=UNVERIFIED)
    assert (list(renamed.signatures[0].inputs), renamed.notes) == (["pixels"], ())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"input_names": {"imag": "x"}}, r"no input named 'imag'.*\n.*'image', 'age'"),
        ({"output_names": {"kind": "price"}}, r"Two outputs would be named 'price'"),
    ],
)
def test_a_wrong_name_is_refused(tmp_path: Path, names: dict[str, Any], message: str) -> None:
    file = keras_models.save("two_in_two_out", "keras", tmp_path / "m.keras")
    with pytest.raises(SpecError, match=message):
        export_keras(file, tmp_path / "out", **names)
    assert not (tmp_path / "out").exists()


def test_a_wrong_rank_raises_an_error_instead_of_a_crash(tmp_path: Path) -> None:
    exported = export_keras(
        keras_models.save("convolution", "keras", tmp_path / "m.keras"), tmp_path / "m", extras=UNVERIFIED
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        _feed_unchecked(exported, np.zeros((2, 6), np.float32))


def _feed_unchecked(exported: Exported, value: np.ndarray) -> None:
    """Runs the export as TensorFlow Serving does, without the shape check of the Python session."""
    signature = read_signatures(exported.path)["serving_default"]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.loader.load(session, ["serve"], str(exported.path))
        feed, fetch = signature.inputs["image"].tensor, signature.outputs["scores"].tensor
        options = tf.compat.v1.RunOptions()
        from tensorflow.core.protobuf import config_pb2

        callable_options = config_pb2.CallableOptions(feed=[feed], fetch=[fetch], run_options=options)
        session._make_callable_from_options(callable_options)(value)


def test_overwrite_replaces_a_version_and_keeps_it_if_the_export_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keras_models.save("dense", "keras", tmp_path / "first.keras")
    second = keras_models.save("recurrent", "keras", tmp_path / "second.keras")
    export_keras(first, tmp_path / "m", version=5, extras=UNVERIFIED)
    with pytest.raises(VersionError, match=r"Version 5 exists already"):
        export_keras(second, tmp_path / "m", version=5)
    with pytest.raises(TfxExportError):
        export_keras(second, tmp_path / "m", version=5, overwrite=True, input_names={"nonsense": "x"})
    assert set(read_signatures(tmp_path / "m" / "5")["serving_default"].outputs) == {"scores"}
    export_keras(second, tmp_path / "m", version=5, overwrite=True, extras=UNVERIFIED)
    assert set(read_signatures(tmp_path / "m" / "5")["serving_default"].outputs) == {"state"}
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["5"]


def test_a_full_device_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    keras = keras_models.library("keras")
    model = keras.Sequential([keras.Input((400,)), keras.layers.Dense(4000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(PublishError, match="Cannot write"):
            export_keras(model, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out").exists()


def test_an_export_with_different_outputs_is_not_published(tmp_path: Path) -> None:
    keras = keras_models.library("keras")

    class Shifted(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return inputs + 1 if tf.executing_eagerly() else inputs

    with pytest.raises(VerificationError, match=r"serving_default / shifted: relative error 0\.\d+, tolerance 0\.0001"):
        export_keras(keras.Sequential([keras.Input((4,)), Shifted(name="shifted")]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_record_holds_source_libraries_and_verification(tmp_path: Path) -> None:
    file = keras_models.save("two_in_two_out", "keras", tmp_path / "m.keras")
    exported = export_keras(file, tmp_path / "m")
    kept = export_record.read(exported.path)
    assert kept == exported.record
    assert kept
    assert kept.source == export_record.Source("keras", "m.keras", export_record.sha256(file))
    assert kept.libraries["keras"] == keras_models.library("keras").__version__
    assert kept.verification
    assert {check.output: check.verdict for check in kept.verification.checks} == {"kind": "equal", "price": "equal"}
