"""Without a spec, the signatures of a SavedModel are exported as they are: names, methods, tensors, default values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.loaders import run_in_session
from tfx_export import export_savedmodel
from tfx_export.cli import main
from tfx_export.errors import SpecError
from tfx_export.exporting.job import Exported, Extras
from tfx_export.exporting.spec.from_yaml import parse_spec
from tfx_export.exporting.spec.model import ExportSpec
from tfx_export.savedmodel.reader import read_signatures

V1 = tf.compat.v1
UNVERIFIED = Extras(verify=False)


def example(value: float) -> bytes:
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    content: bytes = tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString()
    return content


EXAMPLES = np.array([example(0.25), example(0.5)], object)
HALVES = np.array([0.5, 1], np.float32)
# Inputs for each signature of `source`.
INPUTS: dict[str, dict[str, Any]] = {
    "serving_default": {"inputs": EXAMPLES},
    "classification": {"inputs": EXAMPLES},
    "regression": {"inputs": EXAMPLES},
    "predict": {"examples": EXAMPLES},
    "encode": {"x": HALVES},
    "decode": {"code": HALVES},
    "echo": {"same": HALVES},
    "with unused": {"x": HALVES, "mask": HALVES},
    "constant": {},
    "sparse": {
        "s_indices": np.array([[0, 1], [1, 4]]), "s_values": HALVES, "s_shape": np.array([2, 5])
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The signatures of an Estimator, and those with parts in common, without inputs, with unusual tensors."""
    folder = tmp_path_factory.mktemp("kept") / "source"
    saved = V1.saved_model
    predict = saved.predict_signature_def
    with V1.Session(graph=tf.Graph()) as session:
        examples = V1.placeholder(tf.string, [None], "examples")
        score = V1.parse_example(examples, {"x": V1.FixedLenFeature([1], tf.float32)})["x"]
        score = score * V1.get_variable("w", initializer=3.0)
        classes = tf.tile(tf.constant([["no", "yes"]]), [tf.shape(score)[0], 1])
        classify = saved.classification_signature_def(examples, classes, tf.concat([1 - score, score], 1))
        x, mask = V1.placeholder(tf.float32, [None], "x"), V1.placeholder(tf.float32, [None], "mask")
        sparse = V1.sparse_placeholder(tf.float32, [None, 5], name="sparse")
        code = tf.identity(x * 2.0, name="code")
        encode = predict({"x": x}, {"code": code})
        encode.defaults["x"].CopyFrom(tf.make_tensor_proto([1.0]))
        session.run(V1.global_variables_initializer())
        builder = saved.Builder(str(folder))
        signatures = {
            "serving_default": classify,
            "classification": classify,
            "regression": saved.regression_signature_def(examples, score),
            "predict": predict({"examples": examples}, {"score": score}),
            "encode": encode,
            "decode": predict({"code": code}, {"y": code + 1.0}),
            "echo": predict({"same": x}, {"same": x}),
            "twice": predict({"same": x, "again": x}, {"y": x + 1.0}),
            "with unused": predict({"x": x, "mask": mask}, {"y": x + 1.0}),
            "constant": predict({"x": x}, {"version": tf.constant(7)}),
            "sparse": predict({"s": sparse}, {"dense": tf.sparse.to_dense(sparse)}),
            "unfed": predict({"x": x}, {"y": x + V1.placeholder(tf.float32, [], "rate")}),
        }
        signatures["constant"].inputs.clear()
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.add_meta_graph(["train"], signatures)
        builder.save()
    return folder


@pytest.fixture(scope="module")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export_savedmodel(source, tmp_path_factory.mktemp("kept") / "served", extras=Extras(warmup=1))


def test_all_signatures_keep_their_methods_and_default_values(source: Path, exported: Exported) -> None:
    before, after = read_signatures(source), read_signatures(exported.path)
    assert set(after) - {"__saved_model_init_op"} == set(INPUTS)
    for name in INPUTS:
        assert after[name].method == before[name].method
        assert set(after[name].defaults) == set(before[name].defaults)
    assert after["classification"].inputs["inputs"].tensor == after["regression"].inputs["inputs"].tensor


@pytest.mark.parametrize("name", INPUTS)
def test_each_signature_computes_what_the_source_computes(source: Path, exported: Exported, name: str) -> None:
    given = INPUTS[name]
    tensors = {
        "s_indices": "sparse/indices:0", "s_values": "sparse/values:0", "s_shape": "sparse/shape:0"
    }  # fmt: skip
    with V1.Session(graph=tf.Graph()) as session:
        signature = V1.saved_model.loader.load(session, ["serve"], str(source)).signature_def[name]
        feeds = {tensors.get(alias) or signature.inputs[alias].name: value for alias, value in given.items()}
        expected = session.run({alias: info.name for alias, info in signature.outputs.items()}, feeds)
    answer = run_in_session(exported.path, given, name)
    assert {alias: np.asarray(value).tolist() for alias, value in answer.items()} == {
        alias: np.asarray(value).tolist() for alias, value in expected.items()
    }


def test_all_signatures_are_verified_warmed_up_and_recorded(exported: Exported) -> None:
    assert exported.record
    assert exported.record.verification
    assert {check.signature for check in exported.record.verification.checks} == set(INPUTS)
    assert {one["name"] for one in exported.record.spec["signatures"]} == set(INPUTS)  # type: ignore[attr-defined]
    assert (exported.path / "assets.extra" / "tf_serving_warmup_requests").is_file()


def test_notes_say_what_is_left_out(exported: Exported) -> None:
    notes = "\n".join(exported.notes)
    assert "The signature 'unfed' is left out, because no server could answer it" in notes
    assert "rate:0" in notes
    assert "The signature 'twice' is left out" in notes
    assert "No output depends on mask (with unused)." in notes
    assert "The graph with the tags 'train' is left out. To export it: --source-tags train" in notes


def test_signature_def_chooses(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--signature-def", "regression", "--signature-def", "predict"]
    typed = ["savedmodel", str(source), "--out", str(tmp_path / "m"), *chosen, "--no-verify"]
    with pytest.raises(SystemExit) as done:
        main(typed)
    assert done.value.code == 0
    assert "The signatures 'classification', 'constant'" in capsys.readouterr().out
    found = read_signatures(tmp_path / "m" / "1")
    methods = {name: one.method.rpartition("/")[2] for name, one in found.items()}
    assert methods == {"serving_default": "predict", "predict": "predict", "regression": "regress"}


def test_the_default_replaces_serving_default(source: Path, tmp_path: Path) -> None:
    kept = ExportSpec(default="predict", input_names={"x": "number"})
    exported = export_savedmodel(source, tmp_path / "m", spec=kept, extras=UNVERIFIED)
    found = read_signatures(exported.path)
    assert found["serving_default"].outputs.keys() == {"score"}
    assert found["encode"].inputs.keys() == {"number"}


def test_described_signatures_start_from_one_and_the_others_are_told(source: Path, tmp_path: Path) -> None:
    spec = parse_spec({"signatures": {"scores": {"outputs": {"probability": "scores"}}}})
    exported = export_savedmodel(source, tmp_path / "m", spec=spec, extras=UNVERIFIED)
    assert [one.name for one in exported.signatures] == ["serving_default", "scores"]
    assert "'regression'" in "\n".join(exported.notes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"signature": "regresion"}, "no signature 'regresion'"),
        ({"signature": "unfed"}, "also depend on rate:0"),
        ({"signature": ["predict", "encode"], "outputs": {"y": "code:0"}}, "start from one signature"),
        ({"spec": "unknown default"}, "The default signature 'x' is not among"),
        ({"spec": "unknown input"}, "no input named 'y'"),
    ],
    ids=str,
)
def test_errors_name_the_signature(source: Path, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    specs = {
        "unknown default": ExportSpec(default="x"), "unknown input": ExportSpec(input_names={"y": "z"})
    }  # fmt: skip
    given = {**arguments, "spec": specs[arguments["spec"]]} if "spec" in arguments else arguments
    with pytest.raises(SpecError, match=message):
        export_savedmodel(source, tmp_path / "m", extras=UNVERIFIED, **given)
