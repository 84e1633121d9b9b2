"""A session and tf.saved_model.load both see each edit of a SavedModel, and compute the same values as before."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.command_line import tfx_export
from tfx_export import wire
from tfx_export.savedmodel import warmup_requests
from tfx_export.savedmodel.graph import parse_graph
from tfx_export.savedmodel.reader import read_index, read_signatures
from tfx_export.wire.tfrecord import read_records, write_records


class Edit(NamedTuple):
    """A model, the arguments of `sig`, and the result: signature -> (its source, {output: the source's output})."""

    model: str
    arguments: str
    expected: dict[str, tuple[str, dict[str, str]]]


LINEAR = {"y": "y"}
FLAGS = {"score": "score", "flag": "flag"}
ANY = {"output_0": "output_0"}
EDITS = {
    "rename, TF1": Edit("tf1_linear", "rename serving_default predict", {"predict": ("serving_default", LINEAR)}),
    "rename, TF2": Edit(
        "tf2_polymorphic", "rename any every", {"every": ("any", ANY), "serving_default": ("serving_default", LINEAR)}
    ),
    "rename, Keras": Edit(
        "keras3_export",
        "rename serve predict",
        {"predict": ("serve", FLAGS), "serving_default": ("serving_default", FLAGS)},
    ),
    "add, TF1": Edit(
        "tf1_linear",
        "add twin --like serving_default",
        {"twin": ("serving_default", LINEAR), "serving_default": ("serving_default", LINEAR)},
    ),
    "add, TF2": Edit(
        "keras2_saved",
        "add twin --like serving_default",
        {"twin": ("serving_default", FLAGS), "serving_default": ("serving_default", FLAGS)},
    ),
    "add on tensors": Edit(
        "tf1_linear",
        "add product --input features=x:0 --input scale=scale:0 --output product=y",
        {"product": ("serving_default", {"product": "y"}), "serving_default": ("serving_default", LINEAR)},
    ),
    "remove, TF2": Edit("tf2_polymorphic", "remove any", {"serving_default": ("serving_default", LINEAR)}),
    "remove, Keras": Edit("keras3_export", "remove serve", {"serving_default": ("serving_default", FLAGS)}),
    "set-default, TF2": Edit(
        "tf2_polymorphic",
        "set-default any --keep-as linear",
        {"any": ("any", ANY), "serving_default": ("any", ANY), "linear": ("serving_default", LINEAR)},
    ),
    "set-default, text": Edit(
        "tf1_text",
        "set-default labels",
        {"labels": ("labels", {"label": "label"}), "serving_default": ("labels", {"label": "label"})},
    ),
    "rename-input, TF1": Edit(
        "tf1_linear", "rename-input serving_default x features", {"serving_default": ("serving_default", LINEAR)}
    ),
    "rename-input, TF2": Edit(
        "keras3_export",
        "rename-input serve right s",
        {"serve": ("serve", FLAGS), "serving_default": ("serving_default", FLAGS)},
    ),
    "rename-output, text": Edit(
        "tf1_text", "rename-output labels label name", {"labels": ("labels", {"name": "label"})}
    ),
    "rename-output, TF2": Edit(
        "keras3_export",
        "rename-output serve score probabilities",
        {
            "serve": ("serve", {"probabilities": "score", "flag": "flag"}),
            "serving_default": ("serving_default", FLAGS),
        },
    ),
    "rename-output, Keras 2": Edit(
        "keras2_saved",
        "rename-output serving_default flag a",
        {"serving_default": ("serving_default", {"score": "score", "a": "flag"})},
    ),
}


@pytest.fixture(scope="module")
def edited(saved_models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A copy of the model for each of EDITS, edited with the command line."""
    folder = tmp_path_factory.mktemp("edited")
    for number, edit in enumerate(EDITS.values()):
        out = folder / str(number)
        tfx_export("sig", *edit.arguments.split(), "--dir", saved_models / edit.model, "--out", out)
    return {name: folder / str(number) for number, name in enumerate(EDITS)}


@pytest.fixture(scope="module")
def answers(edited: dict[str, Path], saved_models: Path) -> dict[str, Any]:
    """The outputs of the edited models and their sources, by folder, loader and signature."""
    folders = [*edited.values(), *sorted({saved_models / edit.model for edit in EDITS.values()})]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.call_signatures", *map(str, folders)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("loader", ["session", "load"])
@pytest.mark.parametrize("name", EDITS)
def test_both_loaders_see_the_edit(
    name: str, loader: str, edited: dict[str, Path], answers: dict[str, Any], saved_models: Path
) -> None:
    edit = EDITS[name]
    before = answers[str(saved_models / edit.model)][loader]
    after = answers[str(edited[name])][loader]
    assert set(after) == set(edit.expected)
    for signature, (source, outputs) in edit.expected.items():
        assert after[signature] == {key: before[source][old] for key, old in outputs.items()}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_does_not_change_graph_and_weights(name: str, edited: dict[str, Path], saved_models: Path) -> None:
    source, result = saved_models / EDITS[name].model, edited[name]
    graphs, kept = ([parse_graph(meta) for meta in read_index(folder).meta_graphs] for folder in (source, result))
    assert graphs == kept
    for path in source.rglob("*"):
        if path.is_file() and not path.name.startswith("saved_model.") and path.name != "fingerprint.pb":
            assert (result / path.relative_to(source)).read_bytes() == path.read_bytes()


def test_a_method_can_be_set_if_the_rules_of_serving_allow_it(saved_models: Path, tmp_path: Path) -> None:
    shutil.copytree(saved_models / "tf1_tag_sets", tmp_path / "1")
    options = ("--dir", tmp_path / "1", "--tag-set", "serve", "--in-place")
    tfx_export("sig", "set-method", "regression", "predict", *options)
    tfx_export("sig", "set-method", "serving_default", "classify", *options)
    after = read_signatures(tmp_path / "1")
    assert after["regression"].method == "tensorflow/serving/predict"
    assert after["serving_default"].method == "tensorflow/serving/classify"
    untouched = read_signatures(tmp_path / "1", ["train"])
    assert untouched["regression"].method == "tensorflow/serving/regress"


def test_a_signature_defined_on_tensors_gets_their_dtypes_and_shapes(saved_models: Path, tmp_path: Path) -> None:
    shutil.copytree(saved_models / "tf1_tag_sets", tmp_path / "1")
    tensors = ("--input", "inputs=examples:0", "--output", "classes=classes", "--output", "scores=scores:0")
    options = ("--method", "classify", "--tag-set", "gpu,serve", "--dir", tmp_path / "1", "--in-place")
    tfx_export("sig", "add", "named", *tensors, *options)
    after = read_signatures(tmp_path / "1", ["serve", "gpu"])
    assert after["named"].inputs == after["serving_default"].inputs
    assert after["named"].outputs == after["serving_default"].outputs
    assert after["named"].method == after["serving_default"].method


REFUSED = [
    ("tf1_linear", "rename nothing x", "Signatures: serving_default"),
    ("tf1_linear", "rename serving_default __x", "cannot be the name"),
    ("tf1_linear", "remove serving_default", "only signature"),
    ("tf2_polymorphic", "remove __saved_model_init_op", "cannot be edited"),
    ("tf2_polymorphic", "rename any serving_default", "already"),
    ("tf2_polymorphic", "set-default any", "--keep-as"),
    ("tf2_polymorphic", "rename-output any output_1 y", "Outputs: output_0"),
    ("tf2_polymorphic", "add less --like any --output output_1", "Outputs: output_0"),
    ("keras3_export", "add less --like serve --output score", "output_filter"),
    ("keras3_export", "add other --output y=StatefulPartitionedCall:0", "--like EXISTING"),
    ("tf1_linear", "add other --output y=z:0", "no tensor 'z:0'"),
    ("tf1_linear", "add other --output y=y:1", "has 1 outputs"),
    ("tf1_linear", "add other --output y", "takes KEY=TENSOR"),
    ("tf1_linear", "add other --input x=x:0", "needs at least one output"),
    ("tf1_linear", "add other --output y=y:0 --method classify", "exactly one input"),
    ("keras3_export", "rename-output serve score a", "would swap"),
    ("keras3_export", "rename-input serve left z", "before 'right'"),
    ("keras3_export", "rename-output serve score flag", "already"),
    ("tf1_linear", "set-method serving_default regress", "exactly one input"),
    ("tf1_linear", "set-method serving_default guess", "predict, classify, regress"),
    ("tf1_tag_sets", "rename-output --tag-set serve regression outputs y", "Regress returns"),
    ("tf1_tag_sets", "rename raw x", "Tag sets:"),
]


@pytest.mark.parametrize(("model", "arguments", "message"), REFUSED, ids=[f"{m} {a}" for m, a, _ in REFUSED])
def test_a_refused_edit_gives_the_reason_and_writes_nothing(
    model: str, arguments: str, message: str, saved_models: Path, tmp_path: Path
) -> None:
    done = tfx_export("sig", *arguments.split(), "--dir", saved_models / model, "--out", tmp_path / "1", code=2)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_edit_of_a_function_that_two_signatures_share_is_refused(edited: dict[str, Path], tmp_path: Path) -> None:
    arguments = ("rename-output", "twin", "score", "s", "--dir", edited["add, TF2"], "--out", tmp_path / "1")
    assert "shares its function with 'serving_default'" in tfx_export("sig", *arguments, code=2).stderr


def test_the_target_must_be_given_and_must_not_exist(saved_models: Path, tmp_path: Path) -> None:
    edit = ("sig", "rename", "serving_default", "x", "--dir", saved_models / "tf1_linear")
    assert "--out NEW_FOLDER or --in-place" in tfx_export(*edit, code=2).stderr
    (tmp_path / "1").mkdir()
    assert "exists already" in tfx_export(*edit, "--out", tmp_path / "1", code=4).stderr


def test_an_edit_in_place_removes_files_derived_from_the_old_model(saved_models: Path, tmp_path: Path) -> None:
    shutil.copytree(saved_models / "tf2_polymorphic", tmp_path / "1")
    (tmp_path / "1" / "model.tflite").write_bytes(b"converted")
    tfx_export("sig", "rename", "any", "every", "--dir", tmp_path / "1", "--in-place")
    left = {path.name for path in (tmp_path / "1").iterdir()}
    assert left == {"saved_model.pb", "variables", "assets"}


def test_warmup_requests_are_renamed_or_removed_by_an_edit(saved_models: Path, tmp_path: Path) -> None:
    def request(signature: str, *inputs: str) -> bytes:
        log = wire.PredictionLog()
        log.predict_log.request.model_spec.signature_name = signature
        for key in inputs:
            log.predict_log.request.inputs[key].SetInParent()
        return bytes(log.SerializeToString())

    folder = tmp_path / "1"
    shutil.copytree(saved_models / "keras3_export", folder)
    (folder / "assets.extra").mkdir()
    write_records(
        folder / warmup_requests.WARMUP_FILE, [request("serve", "left", "right"), request("", "left", "right")]
    )
    for arguments in ("rename serve old", "rename-input old right s", "remove serving_default"):
        tfx_export("sig", *arguments.split(), "--dir", folder, "--in-place")
    (record,) = read_records(folder / warmup_requests.WARMUP_FILE)
    spoken = wire.PredictionLog.FromString(record).predict_log.request
    assert spoken.model_spec.signature_name == "old"
    assert sorted(spoken.inputs) == ["left", "s"]
