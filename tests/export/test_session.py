"""TF1 checkpoints, frozen graphs and sessions are exported as SavedModels with the same outputs and nothing more."""

import re
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support import tf1_models
from tests.support.command_line import tfx_export
from tests.support.loaders import run_in_session, run_loaded
from tests.support.server import running
from tests.support.tf1_models import FEATURES
from tfx_export import export_savedmodel, export_session
from tfx_export.cli import main
from tfx_export.client import Model
from tfx_export.errors import SourceError, SpecError
from tfx_export.exporting.job import Extras
from tfx_export.exporting.spec.model import ExportSpec
from tfx_export.savedmodel.reader import find_meta_graph, read_index, read_signatures
from tfx_export.wire import GraphDef

UNVERIFIED = Extras(verify=False)
SCORES = {"inputs": {"x": "x:0"}, "outputs": {"scores": "softmax"}, "bind": {"keep_prob": 1.0}}
CONFIG = """
model_config_list { config {
  name: "segmenter"  base_path: "%s"  model_platform: "tensorflow"
  model_version_policy { all {} }
} }
"""
LABEL = "label/LookupTableFindV2:0"


def expected(outputs: dict[str, str], build: Any) -> dict[str, np.ndarray]:
    return tf1_models.answers(build, outputs, {"x:0": FEATURES, "keep_prob:0": 1.0})


def nodes(folder: Path) -> list[Any]:
    graph = GraphDef.FromString(find_meta_graph(read_index(folder), ["serve"]).graph_def)
    return list(graph.node)


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    file = tmp_path / "vocabulary.txt"
    file.write_text("cat\ndog\nbird\n")
    return file


@pytest.mark.parametrize("use_resource", [False, True], ids=["ref", "resource"])
@pytest.mark.parametrize("given", ["meta", "prefix", "index", "folder"])
def test_a_checkpoint_is_found_and_exported(tmp_path: Path, given: str, use_resource: bool) -> None:
    build = partial(tf1_models.classifier, use_resource=use_resource)
    meta = tf1_models.save_checkpoint(tmp_path / "training", build)
    path = {
        "meta": meta,
        "prefix": meta.with_suffix(""),
        "index": meta.with_suffix(".index"),
        "folder": meta.parent,
    }[given]
    exported = export_session(path, tmp_path / "served", extras=UNVERIFIED, **SCORES)  # type: ignore[arg-type]
    want = expected({"scores": "softmax:0"}, build)["scores"]
    np.testing.assert_array_equal(run_in_session(exported.path, {"x": FEATURES})["scores"], want)
    np.testing.assert_allclose(run_loaded(exported.path, {"x": FEATURES})["scores"], want, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".pb", ".pbtxt"])
def test_a_frozen_graph_is_exported(tmp_path: Path, suffix: str) -> None:
    build = partial(tf1_models.classifier, use_resource=True)
    frozen = tf1_models.save_frozen(tmp_path / f"frozen{suffix}", build, ["softmax"])
    exported = export_session(frozen, tmp_path / "served", extras=UNVERIFIED, **SCORES)  # type: ignore[arg-type]
    want = expected({"scores": "softmax:0"}, build)["scores"]
    np.testing.assert_array_equal(run_in_session(exported.path, {"x": FEATURES})["scores"], want)


def test_a_live_session_is_exported_with_its_current_values_and_not_changed(tmp_path: Path) -> None:
    with tf1_models.session() as session:
        tf1_models.classifier(use_resource=False)
        tf1_models.initialise(session)
        session.run(
            "dense/b/Assign:0", feed_dict={session.graph.get_operation_by_name("dense/b/Assign").inputs[1]: [1, 2, 3]}
        )
        before = len(session.graph.get_operations())
        exported = export_session(session, tmp_path / "served", **SCORES)  # type: ignore[arg-type]
        want = session.run("softmax:0", feed_dict={"x:0": FEATURES, "keep_prob:0": 1.0})
        assert len(session.graph.get_operations()) == before
    assert exported.record
    assert exported.record.verification
    np.testing.assert_array_equal(run_in_session(exported.path, {"x": FEATURES})["scores"], want)


def test_the_export_holds_only_what_the_outputs_need(tmp_path: Path) -> None:
    meta = tf1_models.save_checkpoint(tmp_path, partial(tf1_models.classifier, use_resource=False))
    exported = export_session(meta, tmp_path / "served", extras=UNVERIFIED, **SCORES)  # type: ignore[arg-type]
    names = {node.name for node in nodes(exported.path)}
    assert {"dense/w", "dense/b"} <= names
    assert not [name for name in names if "Adam" in name or "gradients" in name or name == "labels"]


def test_named_inputs_that_no_output_needs_are_kept_and_told(tmp_path: Path) -> None:
    build = partial(tf1_models.classifier, use_resource=True)
    meta = tf1_models.save_checkpoint(tmp_path / "training", build)
    names: Any = {**SCORES, "inputs": {"x": "x", "truth": "labels"}}
    first = export_session(meta, tmp_path / "first", **names)
    second = export_savedmodel(first.path, tmp_path / "second")
    want = expected({"scores": "softmax:0"}, build)["scores"]
    labels = np.zeros(len(FEATURES), np.int64)
    for exported in (first, second):
        assert "No output depends on truth" in " ".join(exported.notes)
        for run in (run_in_session, run_loaded):
            scores = run(exported.path, {"x": FEATURES, "truth": labels})["scores"]
            np.testing.assert_allclose(scores, want, rtol=1e-6)


@pytest.mark.parametrize("also", ["halves:0", "x:0", None], ids=["all outputs", "the input of the op", "bound"])
@pytest.mark.parametrize("used", [True, False], ids=["used", "not used"])
def test_one_output_of_an_op_with_several_outputs_can_be_an_input(tmp_path: Path, also: str | None, used: bool) -> None:
    first, second = np.array([[1, 2]], np.float32), np.array([[3, 4]], np.float32)
    with tf1_models.session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], "x")
        left, right = tf.split(x, 2, 1, name="halves")
        tf.identity(left * 10 + right if used else left * 10, name="y")
        inputs, bind = {"right": "halves:1", **({"left": also} if also else {})}, {} if also else {"halves:0": first}
        exported = export_session(session, tmp_path, inputs=inputs, outputs={"y": "y:0"}, bind=bind)
        feeds = {"right": second, **({"left": np.tile(first, 2) if also == "x:0" else first} if also else {})}
        want = session.run("y:0", {**bind, **{inputs[name]: value for name, value in feeds.items()}})
    np.testing.assert_array_equal(run_in_session(exported.path, feeds)["y"], want)
    assert any("No output depends on right" in note for note in exported.notes) != used


def test_an_output_of_an_op_can_be_an_input_and_an_output(tmp_path: Path) -> None:
    with tf1_models.session() as session:
        left, right = tf.split(tf.compat.v1.placeholder(tf.float32, [None, 4], "x"), 2, 1, name="halves")
        tf.add(left, right, name="y")
        right_half, x = {"right": "halves:1"}, np.array([[1, 2, 3, 4]], np.float32)
        exported = export_session(
            session, tmp_path, inputs={"x": "x:0", **right_half}, outputs={"y": "y:0", **right_half}
        )
    found = run_in_session(exported.path, {"x": x, "right": x[:, :2] * 10})
    assert {name: value.tolist() for name, value in found.items()} == {"y": [[11, 22]], "right": [[10, 20]]}


def test_signatures_can_feed_different_outputs_of_one_op(tmp_path: Path) -> None:
    halves = {"left": "halves:0", "right": "halves:1"}
    with tf1_models.session() as session:
        left, right = tf.split(tf.compat.v1.placeholder(tf.float32, [None, 4], "x"), 2, 1, name="halves")
        tf.add(left, right, name="y")
        tensors = {name: session.graph.get_tensor_by_name(tensor) for name, tensor in {"x": "x:0", **halves}.items()}
        outputs = {"y": session.graph.get_tensor_by_name("y:0")}
        inputs = {"serving_default": ["x"], "one": ["x", "left"], "other": ["x", "right"], "both": ["left", "right"]}
        saved_model = tf.compat.v1.saved_model
        builder = saved_model.Builder(str(tmp_path / "source"))
        signatures = {
            key: saved_model.predict_signature_def({name: tensors[name] for name in names}, outputs)
            for key, names in inputs.items()
        }
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    exported = export_savedmodel(tmp_path / "source", tmp_path / "served", extras=UNVERIFIED)
    loaded = tf.saved_model.load(str(exported.path))
    feeds = {"x": [[1.0, 2, 3, 4]], "left": [[10.0, 20]], "right": [[30.0, 40]]}
    found = {
        key: loaded.signatures[key](**{name: tf.constant(feeds[name]) for name in names})["y"].numpy().tolist()
        for key, names in inputs.items()
    }
    assert found == {"serving_default": [[4, 6]], "one": [[13, 24]], "other": [[31, 42]], "both": [[40, 60]]}


@pytest.mark.parametrize("use_resource", [False, True], ids=["ref", "resource"])
def test_variables_keep_their_kind(tmp_path: Path, use_resource: bool) -> None:
    meta = tf1_models.save_checkpoint(tmp_path, partial(tf1_models.classifier, use_resource=use_resource))
    exported = export_session(meta, tmp_path / "served", extras=UNVERIFIED, **SCORES)  # type: ignore[arg-type]
    kinds = {node.op for node in nodes(exported.path) if node.name == "dense/w"}
    assert kinds == {"VarHandleOp" if use_resource else "VariableV2"}


def test_a_vocabulary_becomes_an_asset_also_in_a_second_export(tmp_path: Path, vocabulary: Path) -> None:
    build = partial(tf1_models.classifier, use_resource=True, vocabulary=vocabulary)
    meta = tf1_models.save_checkpoint(tmp_path / "training", build)
    names: Any = {**SCORES, "outputs": {"scores": "softmax", "label": LABEL}}
    first = export_session(meta, tmp_path / "first", extras=UNVERIFIED, **names)
    want = expected({"scores": "softmax:0", "label": LABEL}, build)
    vocabulary.unlink()
    second = export_savedmodel(first.path, tmp_path / "second")
    for exported in (first, second):
        assert [asset.name for asset in (exported.path / "assets").iterdir()] == ["vocabulary.txt"]
        for run in (run_in_session, run_loaded):
            answer = run(exported.path, {"x": FEATURES})
            assert answer["label"].tolist() == want["label"].tolist()
            np.testing.assert_allclose(answer["scores"], want["scores"], rtol=1e-6)


@pytest.mark.parametrize("init", ["main_op", "legacy_init_op", "tf2"])
def test_a_saved_model_is_exported_again_without_the_original_vocabulary_file(
    tmp_path: Path, vocabulary: Path, init: str
) -> None:
    source = tf1_models.save_labels(tmp_path / "source", vocabulary, init=init)
    vocabulary.unlink()
    # The path of the vocabulary on this machine is not part of the model, which works in another folder too.
    exported = export_savedmodel(source.rename(tmp_path / "moved"), tmp_path / "served", extras=UNVERIFIED)
    assert [asset.name for asset in (exported.path / "assets").iterdir()] == ["vocabulary.txt"]
    for run in (run_in_session, run_loaded):
        assert run(exported.path, {"x": np.array([2, 0, 9])})["label"].tolist() == [b"bird", b"cat", b"?"]


@pytest.mark.parametrize("source", ["main_op", "unused"])
def test_assets_that_no_table_reads_are_exported_too(tmp_path: Path, vocabulary: Path, source: str) -> None:
    build = partial(tf1_models.classifier, use_resource=True, vocabulary=vocabulary if source == "main_op" else None)
    (tmp_path / "notes.txt").write_text("how it was trained")
    spec = ExportSpec(assets=(tmp_path / "notes.txt",))
    meta = tf1_models.save_checkpoint(tmp_path / "training", build)
    outputs = {"scores": "softmax"} if source == "unused" else {"scores": "softmax", "label": LABEL}
    names: Any = {**SCORES, "outputs": outputs}
    first = export_session(meta, tmp_path / "first", spec=spec, extras=UNVERIFIED, **names)
    again = export_savedmodel(first.path, tmp_path / "again", extras=UNVERIFIED)
    assets = sorted(asset.name for asset in (again.path / "assets").iterdir())
    assert assets == sorted(asset.name for asset in (first.path / "assets").iterdir())
    assert (again.path / "assets" / "notes.txt").read_text() == "how it was trained"


def test_tables_of_a_frozen_graph_are_filled(tmp_path: Path, vocabulary: Path) -> None:
    build = partial(tf1_models.classifier, use_resource=True, vocabulary=vocabulary)
    outputs = ["softmax", LABEL.partition(":")[0], "init_all_tables"]
    frozen = tf1_models.save_frozen(tmp_path / "frozen.pb", build, outputs)
    names: Any = {**SCORES, "outputs": {"label": LABEL}}
    exported = export_session(frozen, tmp_path / "served", **names)
    assert exported.record
    assert exported.record.verification
    want = expected({"label": LABEL}, build)["label"]
    assert run_in_session(exported.path, {"x": FEATURES})["label"].tolist() == want.tolist()


@pytest.mark.parametrize("gone", ["initializer", "file"])
def test_a_table_that_nothing_can_fill_is_refused(tmp_path: Path, vocabulary: Path, gone: str) -> None:
    build = partial(tf1_models.classifier, use_resource=True, vocabulary=vocabulary)
    outputs = [LABEL.partition(":")[0], *(["init_all_tables"] if gone == "file" else [])]
    frozen = tf1_models.save_frozen(tmp_path / "frozen.pb", build, outputs)
    vocabulary.unlink()
    names: Any = {**SCORES, "outputs": {"label": LABEL}}
    message = {"initializer": "no op of the graph fills it", "file": r"vocabulary\.txt; No such file"}[gone]
    with pytest.raises(SourceError, match=message):
        export_session(frozen, tmp_path / "served", extras=UNVERIFIED, **names)


def test_a_segmentation_network_is_exported_as_text_in_two_versions(tmp_path: Path) -> None:
    meta = tf1_models.save_checkpoint(tmp_path, tf1_models.segmenter)
    flags = [f"--input={name}={name}:0" for name in ("images", "height", "width")]
    flags += ["--output=segmentation_map=segmentation_map:0", "--as-text", "--no-verify"]
    command = ["session", str(meta), "--out", str(tmp_path / "served"), *flags]
    tfx_export(*command)
    with pytest.raises(SystemExit, match="0"):
        main(command)
    feeds: dict[str, np.ndarray] = {
        "images": np.full((1, 16, 16, 3), 90, np.uint8),
        "height": np.array(20, np.int32),
        "width": np.array(24, np.int32),
    }
    want = tf1_models.answers(
        tf1_models.segmenter, {"map": "segmentation_map:0"}, {f"{name}:0": value for name, value in feeds.items()}
    )["map"]
    for version in ("1", "2"):
        assert (tmp_path / "served" / version / "saved_model.pbtxt").is_file()
        np.testing.assert_array_equal(run_in_session(tmp_path / "served" / version, feeds)["segmentation_map"], want)
    config = tmp_path / "models.config"
    config.write_text(CONFIG % (tmp_path / "served"))
    with running(tmp_path, f"--model_config_file={config}") as server, server.client as client:
        for number in (1, 2):
            answer = client.predict(Model("segmenter", number), feeds)
            np.testing.assert_array_equal(answer["segmentation_map"], want)


def test_possible_inputs_and_outputs_are_listed_with_a_command_that_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = tf1_models.save_checkpoint(tmp_path, partial(tf1_models.classifier, use_resource=True))
    with pytest.raises(SystemExit, match="2"):
        main(["session", str(meta), "--out", str(tmp_path / "served")])
    said = capsys.readouterr().err
    assert "x:0" in said
    assert "float32 (?, 4)" in said
    command = said.strip().splitlines()[-1].removeprefix("For example: tfx-export ")
    assert "labels" not in command
    tfx_export(*command.split(), "--no-verify")
    assert set(read_signatures(tmp_path / "served" / "1")["serving_default"].inputs) == {"x"}


def switched() -> None:
    x = tf.compat.v1.placeholder(tf.float32, [None, 4], "x")
    training = tf.compat.v1.placeholder(tf.bool, [], "is_training")
    steps = tf.compat.v1.placeholder_with_default(3, [], "steps")
    mode = tf.compat.v1.placeholder_with_default("infer", [], "mode")
    phase = tf.compat.v1.placeholder_with_default(True, [], "phase_train")
    keep = tf.compat.v1.placeholder(tf.float32, None, "net/keep_prob")
    w = tf.compat.v1.get_variable("w", [4, 2], initializer=tf.compat.v1.ones_initializer())
    y = tf.cond(training, lambda: x @ w * 7, lambda: x @ w) * tf.cast(steps, tf.float32) * keep
    y = tf.where(phase, y * 5, y)
    tf.where(tf.equal(mode, "infer"), y, y * 9, name="y")


def batch(kind: str) -> Any:
    values, labels = np.ones((8, 4), np.float32), np.ones(8, np.int64)
    if kind == "iterator":
        data = tf.compat.v1.data.Dataset.from_tensor_slices((values, labels)).batch(2)
        return tf.compat.v1.data.make_one_shot_iterator(data).get_next()
    queue = tf.queue.FIFOQueue(9, [tf.float32, tf.int64], [[4], []])
    return queue.dequeue_many(2)


def fed_by(kind: str) -> None:
    x, labels = batch(kind)
    w = tf.compat.v1.get_variable("w", [4, 2], initializer=tf.compat.v1.ones_initializer())
    logits = x @ w
    tf.nn.softmax(logits, name="y")
    tf.compat.v1.losses.sparse_softmax_cross_entropy(labels, logits)


def detector() -> None:
    image = tf.cast(tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], "image_tensor"), tf.float32)
    w = tf.compat.v1.get_variable("w", initializer=2.0)
    scores = tf.reduce_mean(image, [1, 2]) * w
    tf.stack([scores] * 4, 2, name="detection_boxes")
    tf.identity(scores, "detection_scores")
    tf.identity(scores + 1, "detection_classes")
    tf.reduce_sum(scores, 1, name="num_detections")


HINTED: dict[str, tuple[Any, set[str], set[str], list[str]]] = {
    "switches": (
        switched,
        {"x"},
        {"y"},
        ["is_training=false", "steps=3", "mode=infer", "phase_train=false", "net/keep_prob=1.0"],
    ),
    "iterator": (partial(fed_by, "iterator"), {"batch"}, {"y"}, ["IteratorGetNext:0"]),
    "queue": (partial(fed_by, "queue"), {"batch"}, {"y"}, []),
    "detector": (
        detector,
        {"image_tensor"},
        {"detection_boxes", "detection_scores", "detection_classes", "num_detections"},
        [],
    ),
}


@pytest.mark.parametrize("case", HINTED)
def test_the_printed_command_exports(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, inputs, outputs, texts = HINTED[case]
    meta = tf1_models.save_checkpoint(tmp_path / "a folder", build)
    with pytest.raises(SystemExit, match="2"):
        main(["session", str(meta), "--out", str(tmp_path / "served")])
    command = capsys.readouterr().err.strip().splitlines()[-1].removeprefix("For example: tfx-export ")
    assert [text for text in texts if text not in command] == []
    with pytest.raises(SystemExit, match="0"):
        main([*shlex.split(command), *([] if case == "switches" else ["--no-verify"]), "--quiet"])
    signature = read_signatures(tmp_path / "served" / "1")["serving_default"]
    assert (set(signature.inputs), set(signature.outputs)) == (inputs, outputs)


def test_init_writes_a_spec_that_exports_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta = tf1_models.save_checkpoint(tmp_path / "training", partial(tf1_models.classifier, use_resource=True))
    spec, silent = tmp_path / "spec.yaml", ["--no-verify", "--quiet", "--signatures", str(tmp_path / "spec.yaml")]
    with pytest.raises(SystemExit, match="2"):
        main(["init", "session", str(meta)])
    command = capsys.readouterr().err.strip().splitlines()[-1].removeprefix("For example: tfx-export ")
    with pytest.raises(SystemExit, match="0"):
        main(shlex.split(command))
    spec.write_text(capsys.readouterr().out)
    assert "x: {source: x, dtype: float32, shape: [null, 4]}" in spec.read_text()
    with pytest.raises(SystemExit, match="0"):
        main([*shlex.split(command.removeprefix("init ")), "--out", str(tmp_path / "first"), *silent])
    with pytest.raises(SystemExit, match="0"):
        main(["init", "savedmodel", str(tmp_path / "first" / "1")])
    spec.write_text(capsys.readouterr().out)
    with pytest.raises(SystemExit, match="0"):
        main(["savedmodel", str(tmp_path / "first" / "1"), "--out", str(tmp_path / "second"), *silent])
    first, second = (read_signatures(tmp_path / name / "1")["serving_default"] for name in ("first", "second"))
    assert (
        (list(first.inputs), list(first.outputs)) == (["x"], ["softmax"]) == (list(second.inputs), list(second.outputs))
    )


def test_the_hint_for_switches_without_a_value_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meta = tf1_models.save_checkpoint(tmp_path / "training", switched)
    given = ["session", str(meta), "--out", str(tmp_path / "served"), "--input=x=x:0", "--output=y=y:0", "--no-verify"]
    with pytest.raises(SystemExit, match="2"):
        main(given)
    binds = re.findall(r"--bind \S+(?=\))", capsys.readouterr().err)
    assert binds == ["--bind is_training=false", "--bind net/keep_prob=1.0"]
    with pytest.raises(SystemExit, match="0"):
        main([*given, *" ".join([*binds, "--bind phase_train=false"]).split(), "--quiet"])
    answer = run_in_session(tmp_path / "served" / "1", {"x": np.ones((1, 4), np.float32)})
    assert answer["y"].tolist() == [[12, 12]]


@pytest.mark.parametrize(("kind", "name"), [("iterator", "IteratorGetNext"), ("queue", "fifo_queue_DequeueMany")])
def test_the_hint_for_an_input_pipeline_names_the_tensor_after_it(tmp_path: Path, kind: str, name: str) -> None:
    with tf1_models.session() as session:
        fed_by(kind)
        tf1_models.initialise(session)
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        tf.identity(session.graph.get_tensor_by_name("y:0") + x[0], "z")
        with pytest.raises(SpecError, match=f"Start after it: --input {name}_0={name}:0 "):
            export_session(session, tmp_path / "m", inputs={"x": "x"}, outputs={"z": "z"}, extras=UNVERIFIED)
        with pytest.raises(SpecError, match=f"also depend on {name}:0"):
            export_session(
                session, tmp_path / "m", inputs={"x": "x", "b": f"{name}:1"}, outputs={"z": "z"}, extras=UNVERIFIED
            )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": {"y": "sofmax"}}, "Similar names: softmax:0"),
        ({"bind": {}}, "--bind keep_prob=1.0"),
        ({"bind": {"keep_prob": "much"}}, "'much' does not fit keep_prob:0"),
    ],
)
def test_inputs_and_outputs_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    meta = tf1_models.save_checkpoint(tmp_path, partial(tf1_models.classifier, use_resource=True))
    names: Any = {**SCORES, **changes}
    with pytest.raises(SpecError) as raised:
        export_session(meta, tmp_path / "served", **names)
    assert message in str(raised.value)
    assert not (tmp_path / "served").exists() or not list((tmp_path / "served").iterdir())


def _truncated(folder: Path) -> Path:
    meta = tf1_models.save_checkpoint(folder, tf1_models.segmenter)
    meta.write_bytes(meta.read_bytes()[:1000])
    return meta


def _without_values(folder: Path) -> Path:
    meta = tf1_models.save_checkpoint(folder, tf1_models.segmenter)
    meta.with_suffix(".index").unlink()
    return meta


def _written(name: str, content: bytes) -> Any:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing.meta", "does not exist"),
        (lambda folder: folder, "it is an empty folder"),
        (_written("model.pb", b"hello, I am not a graph"), "it is a text file"),
        (_written("model.pb", b"\n\x7f no graph"), "is not a frozen graph"),
        (_written("model.pbtxt", b"neither am I"), "it is a text file"),
        (_written("saved_model.pb", b"\x08\x01\x12\x00"), "the file of a SavedModel"),
        (_written("model.ckpt.meta", b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
        (_truncated, "cannot load"),
        (_without_values, "checkpoint of"),
    ],
)
def test_a_source_that_is_not_a_tf1_model_is_refused(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(SourceError) as raised:
        export_session(make(tmp_path), tmp_path / "served", **SCORES)  # type: ignore[arg-type]
    assert message in str(raised.value)


def test_a_finalized_graph_with_resources_and_tables_is_exported(tmp_path: Path) -> None:
    with tf1_models.session() as session:
        x = tf.compat.v1.placeholder(tf.int64, [None], "x")
        table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, [0.0, 0.5])
        weight = tf.compat.v1.get_variable("weight", initializer=[2.0, 4.0], use_resource=True)
        tf.multiply(table.lookup(x), weight, name="y")
        fill = table.insert(tf.constant([1, 2], tf.int64), tf.constant([[1.0, 2.0], [3.0, 4.0]]))
        tf1_models.initialise(session)
        session.run(fill)
        session.graph.finalize()
        exported = export_session(
            session, tmp_path / "served", inputs={"x": "x"}, outputs={"y": "y"}, extras=UNVERIFIED
        )
        assert session.graph.finalized
    for run in (run_in_session, run_loaded):
        assert run(exported.path, {"x": np.array([2, 9])})["y"].tolist() == [[6, 16], [0, 2]]


def test_the_error_names_an_uninitialized_variable(tmp_path: Path) -> None:
    with tf1_models.session() as session:
        tf1_models.classifier(use_resource=False)
        with pytest.raises(SourceError, match=r"dense/[bw]' has no value"):
            export_session(session, tmp_path / "served", **SCORES)  # type: ignore[arg-type]


def test_tf1_control_flow_is_exported(tmp_path: Path) -> None:
    tf.compat.v1.disable_control_flow_v2()
    try:
        with tf1_models.session() as session:
            x = tf.compat.v1.placeholder(tf.float32, [None], "x")
            _, total = tf.compat.v1.while_loop(lambda i, _: i < 5, lambda i, t: (i + 1, t + x), [0, tf.zeros_like(x)])
            tf.identity(total, name="total")
            exported = export_session(
                session, tmp_path / "served", inputs={"x": "x"}, outputs={"total": "total"}, extras=UNVERIFIED
            )
    finally:
        tf.compat.v1.enable_control_flow_v2()
    np.testing.assert_array_equal(run_in_session(exported.path, {"x": np.array([1, 2], np.float32)})["total"], [5, 10])


def test_sparse_and_ragged_tensors_of_a_saved_model_become_several_inputs_and_outputs(tmp_path: Path) -> None:
    with tf1_models.session() as session:
        sparse = tf.compat.v1.sparse_placeholder(tf.float32, [None, 5], name="sparse")
        ragged = tf.compat.v1.ragged.placeholder(tf.int32, 1, value_shape=[], name="ragged")
        outputs = {"dense": tf.sparse.to_dense(sparse), "twice": ragged * 2, "half": sparse / 2.0}
        signature = tf.compat.v1.saved_model.predict_signature_def({"sparse": sparse, "ragged": ragged}, outputs)
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "source"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    exported = export_savedmodel(tmp_path / "source", tmp_path / "served", extras=UNVERIFIED)
    inputs = {
        "sparse_indices": np.array([[0, 1], [1, 4]]),
        "sparse_values": np.array([1, 2], np.float32),
        "sparse_shape": np.array([2, 5]),
        "ragged_values": np.array([1, 2, 3], np.int32),
        "ragged_row_splits": np.array([0, 1, 3]),
    }
    answer = run_in_session(exported.path, inputs)
    assert answer["dense"].tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 2]]
    assert answer["twice_values"].tolist() == [2, 4, 6]
    assert answer["twice_row_splits"].tolist() == [0, 1, 3]
    assert answer["half_values"].tolist() == [0.5, 1]


def test_a_tf1_hub_module_without_tags_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tf1_models.session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None], "x")
        signature = tf.compat.v1.saved_model.predict_signature_def({"default": x}, {"default": x * 2.0})
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "module"))
        builder.add_meta_graph_and_variables(session, [], {"default": signature})
        builder.add_meta_graph(["train"], {"default": signature})
        builder.save()
    typed = ["savedmodel", str(tmp_path / "module"), "--out", str(tmp_path / "served"), "--no-verify", "--quiet"]
    with pytest.raises(SystemExit) as refused:
        main(typed)
    assert refused.value.code == 2
    assert "Type: --tag_set ''" in capsys.readouterr().err
    with pytest.raises(SystemExit) as done:
        main([*typed, "--tag_set", ""])
    assert done.value.code == 0
    assert run_in_session(tmp_path / "served" / "1", {"default": np.ones(1, np.float32)})["default"].tolist() == [2]
