"""An export is compared with its source in a separate process, signature by signature."""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support import keras_models, three_signatures
from tfx_export import Extras, SignatureEditor, export_keras, verify
from tfx_export.errors import SavedModelError, SpecError, VerificationError
from tfx_export.savedmodel.export_record import describe

Source = Callable[[str, Mapping[str, np.ndarray]], dict[str, np.ndarray]]
SOURCE: Source = partial(three_signatures.answer, three_signatures.weights())


def test_each_signature_gets_suitable_probes_and_equals_the_source(classifier: Path) -> None:
    verification = verify(classifier, SOURCE)
    assert verification.probe == "generated"
    assert {(check.signature, check.output): check.verdict for check in verification.checks} == {
        ("serving_default", "y"): "equal",
        ("image", "y"): "equal",
        ("classify", "scores"): "equal",
        ("classify", "classes"): "unproven",
    }
    assert all(check.error is not None and check.error <= check.tolerance for check in verification.checks)


def test_a_probe_file_is_used_for_signatures_with_its_inputs(classifier: Path, tmp_path: Path) -> None:
    seen: list[np.ndarray] = []

    def compute(signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if signature == "serving_default":
            seen.append(inputs["x"])
        return SOURCE(signature, inputs)

    given = np.random.default_rng(5).standard_normal((3, 12))
    np.savez(tmp_path / "data.npz", x=given)
    assert verify(classifier, compute, probe=tmp_path / "data.npz").probe == "generated, data.npz"
    # The second run shows whether the source is random.
    np.testing.assert_array_equal(seen, [given.astype(np.float32)] * 2)


def slightly_off(signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    answers = SOURCE(signature, inputs)
    return {"y": answers["y"] * 1.001} if signature == "image" else answers


def other_labels(signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    answers = SOURCE(signature, inputs)
    return {**answers, "classes": answers["classes"][:, ::-1]} if signature == "classify" else answers


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (slightly_off, r"image / y: relative error 0\.001, tolerance 0\.0001"),
        (other_labels, r"classify / classes: share of differing values 0\.67, tolerance 0"),
    ],
)
def test_the_error_names_the_output_that_differs(classifier: Path, source: Source, text: str) -> None:
    with pytest.raises(VerificationError, match=text) as caught:
        verify(classifier, source)
    assert caught.value.message.count("\n  ") == 1


def test_outputs_that_do_not_depend_on_the_input_are_unproven(tmp_path: Path) -> None:
    zeros = np.zeros((12, 3), np.float32)
    three_signatures.write(tmp_path / "1", zeros)
    verification = verify(tmp_path / "1", partial(three_signatures.answer, zeros))
    assert {check.verdict for check in verification.checks} == {"unproven"}
    assert "the same for every probe" in describe(verification.checks[0])


def test_a_signature_is_unproven_if_the_source_refuses_its_probes(classifier: Path) -> None:
    def compute(signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if signature == "image":
            raise RuntimeError("only pictures of cats")
        return SOURCE(signature, inputs)

    notes = {check.signature: check.note for check in verify(classifier, compute).checks if check.error is None}
    assert notes == {"image": "the source refuses every generated probe: RuntimeError: only pictures of cats"}


def test_an_export_that_cannot_be_loaded_raises_an_error(classifier: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(classifier, tmp_path / "1")
    (broken / "variables" / "variables.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(VerificationError, match="does not load and run in a fresh process"):
        verify(broken, SOURCE)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"pixels": np.zeros(3)}, "holds an array 'pixels', which is not an input of any signature"),
        ({"x": np.array(["text"])}, "'x' of signature 'serving_default' is DT_FLOAT"),
        ({"x": np.array([None])}, "not an .npz file of plain arrays"),
    ],
)
def test_a_probe_file_that_does_not_fit_is_refused(
    classifier: Path, tmp_path: Path, arrays: dict[str, np.ndarray], text: str
) -> None:
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=text):
        verify(classifier, SOURCE, probe=tmp_path / "data.npz")


def test_the_error_names_a_missing_probe_file(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="There is no probe file"):
        verify(classifier, SOURCE, probe=tmp_path / "absent.npz")


def test_a_version_can_be_verified_later_against_its_source_file_or_another_version(tmp_path: Path) -> None:
    file = keras_models.save("dense", "keras", tmp_path / "m.keras")
    first, second = (export_keras(file, tmp_path / "m", extras=Extras(verify=False)).path for _ in range(2))
    for source in (file, second):
        assert [check.verdict for check in verify(first, source).checks] == ["equal"]
    model = keras_models.library("keras").models.load_model(file)
    model.set_weights([-weight for weight in model.get_weights()])
    with pytest.raises(VerificationError, match="serving_default / scores: relative error"):
        verify(first, model)


def test_folders_without_a_model_are_refused(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(SavedModelError):
        verify(tmp_path, SOURCE)
    with pytest.raises(SavedModelError):
        verify(classifier, tmp_path)
    file = keras_models.save("dense", "keras", tmp_path / "m.keras")
    editor = SignatureEditor(classifier)
    editor.remove("serving_default")
    editor.save_copy(tmp_path / "1")
    with pytest.raises(SpecError, match=r"and its source have no signature in common"):
        verify(tmp_path / "1", file)


@pytest.mark.parametrize(("kind", "library"), [("sparse", "keras"), ("ragged", "tf_keras")])
def test_probes_fit_inputs_that_consist_of_several_tensors(tmp_path: Path, kind: str, library: str) -> None:
    keras = keras_models.library(library)
    if kind == "sparse":
        given = keras.Input((10,), name="x", sparse=True)
        model = keras.Model(given, keras.layers.Dense(2)(given))
    else:
        given = keras.Input((None,), name="x", dtype="int64", ragged=True)
        words = keras.layers.Embedding(9, 4)(given)
        model = keras.Model(given, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(words)))
    record = export_keras(model, tmp_path / "m").record
    assert record
    assert record.verification
    assert [check.verdict for check in record.verification.checks] == ["equal"]


def test_a_source_that_lacks_an_output_is_refused(classifier: Path) -> None:
    with pytest.raises(SpecError, match="gives no output 'classes' for the signature 'classify'"):
        verify(classifier, lambda signature, inputs: {})
